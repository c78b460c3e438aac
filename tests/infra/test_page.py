"""Would the walk notice that a page is wrong?"""

from __future__ import annotations

import pytest

from tests.infra.tools.page import blocks, matches

PAGE = """
# A page

```sh
first
```

```text
…
done in … s
```

Prose.

### With SAM

```sh
second
```

```toml
setting = 1
```

### With Terraform

```sh
third
fourth
```
"""


def test_commands_are_found_with_their_place_and_what_they_print() -> None:
    found = [(b.line, b.code, b.heading, b.prints) for b in blocks(PAGE)]
    assert found == [
        (5, "first\n", "A page", "…\ndone in … s\n"),
        (18, "second\n", "With SAM", None),
        (28, "third\nfourth\n", "With Terraform", None),
    ]


def test_who_takes_one_way_does_not_go_the_other() -> None:
    walked = [b.code.split()[0] for b in blocks(PAGE) if b.belongs_to("Terraform")]
    assert walked == ["first", "third"]


@pytest.mark.parametrize(
    ("page", "wrong"),
    [
        ("```sh\nls\n", "line 1: the fence stays open"),
        ("```text\nx\n```\n", "line 1: no command"),
        ("```sh\nls\n```\nProse.\n```text\nx\n```\n", "line 5: no command"),
        ("```sh\nls\n```\n```text\nx\n```\n```text\ny\n```\n", "line 7: no command"),
    ],
)
def test_a_page_that_cannot_be_walked_is_refused(page: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        list(blocks(page))


@pytest.mark.parametrize(
    ("message", "printed", "right"),
    [
        ("done", "done\n", True),
        ("done", "gone\n", False),
        ("done", "done\nand more\n", False),
        ("done\n…", "done\nand more\n", True),
        ("…\ndone", "this\nthat\ndone\n", True),
        ("…\ndone", "this\nthat\n", False),
        ("took … s", "took 12 s\n", True),
        ("took … s", "took 12\n3 s\n", False),
        ("a  b", "a        b   \n\n", True),
        ("a  b", "ab\n", False),
        ("1.0", "1x0\n", False),
    ],
)
def test_what_a_page_says_is_compared_with_what_is_printed(
    message: str, printed: str, right: bool
) -> None:
    assert matches(message, printed) is right
