"""`python -m streamdehaze` is the `streamdehaze` command."""

from streamdehaze.cli import main

main(prog_name="streamdehaze")
