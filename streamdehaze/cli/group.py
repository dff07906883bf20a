"""Groups of commands that answer a mistyped name with the nearest one."""

from __future__ import annotations

import difflib

import rich_click as click


class Group(click.RichGroup):
    """A group that knows what may have been meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names, or say which one is nearest."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            names = self.list_commands(ctx)
            near = difflib.get_close_matches(args[0], names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"choose {', '.join(names[:-1])} or {names[-1]}."
            ctx.fail(f"there is no command '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)
