"""Put the table of docs/leaderboard.json onto its page.

hashgym evaluate scenario=NAME env=residual --submit NAME bundle=FOLDER board=docs/leaderboard.json
python -m tools.leaderboard_page
"""

from pathlib import Path
from typing import Final

from hashgym.experiments import leaderboard
from hashgym.sim.foundation.files import write_text
from tools.learning_page import put

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    """Write the page."""
    page = DOCS / "leaderboard.md"
    text = page.read_text(encoding="utf-8")
    write_text(page, put(text, "table", leaderboard.table(leaderboard.read(DOCS / "leaderboard.json"))))


if __name__ == "__main__":
    main()
