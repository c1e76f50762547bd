"""Frames rendered from a known Ceres: scenes, pictures, truth tables, archive files."""

from brightspot.simulate.files import FORMATS, write
from brightspot.simulate.observation import observation_scene, simulate, sun_from_ceres, turned
from brightspot.simulate.rendering import Rendered, render
from brightspot.simulate.scene import CraterForm, Scene, Spot, random_scene
from brightspot.simulate.view import viewing_geometry

__all__ = [
    "FORMATS",
    "CraterForm",
    "Rendered",
    "Scene",
    "Spot",
    "observation_scene",
    "random_scene",
    "render",
    "simulate",
    "sun_from_ceres",
    "turned",
    "viewing_geometry",
    "write",
]
