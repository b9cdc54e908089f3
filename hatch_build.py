"""Build hook: ship the four content rooms in real wheels; editable installs read the checkout."""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOMS = ("data_schemas", "models", "pipelines", "rule_packs")
KEPT_SUFFIXES = {".yaml", ".md"}


class ContentHook(BuildHookInterface):
    """List the rooms' files one by one by suffix, so that no ignored file slips into a wheel."""

    def initialize(self, version, build_data):
        if version == "editable":
            return
        root = Path(self.root)
        for room in ROOMS:
            kept = [
                path
                for path in sorted((root / room).rglob("*"))
                if path.is_file() and path.suffix in KEPT_SUFFIXES and not path.name.startswith(".")
            ]
            if not kept:
                raise FileNotFoundError(f"{room}/ is missing or empty: the wheel would ship without it")
            for path in kept:
                relative = path.relative_to(root).as_posix()
                build_data["force_include"][str(path)] = f"credit_tier/_content/{relative}"
