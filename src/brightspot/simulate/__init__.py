"""Frames rendered from a known Ceres: scenes, pictures, truth tables, archive files."""

from brightspot.simulate.render import Rendered, render, viewing_geometry
from brightspot.simulate.scene import Scene, Spot, random_scene

__all__ = ["Rendered", "Scene", "Spot", "random_scene", "render", "viewing_geometry"]
