"""`brightspot completion`."""

from __future__ import annotations

from typing import Literal

from brightspot.cli.printing import DONE, Switch


def completion(shell: Literal["bash", "zsh", "fish", "powershell"], /, *, install: Switch = False) -> int:
    """Print the script that lets a shell complete commands and options with the Tab key.

    Parameters
    ----------
    shell
        For one session: eval "$(brightspot completion bash)", zsh alike; brightspot completion fish | source.
    install
        For good: write the script to the shell's folder in your home and name it in its start-up file.
    """
    from brightspot.cli import app

    if install:
        print(app.install_completion(shell=shell))
    else:
        print(app.generate_completion(shell=shell))
    return DONE
