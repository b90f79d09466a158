"""How far the engine is with an image, from its lines."""

from __future__ import annotations

from devcluster.edge.docker.image import Pulled, _Layer, _told


def _pulled(*lines: dict[str, object]) -> Pulled:
    layers: dict[str, _Layer] = {}
    for line in lines:
        layers[str(line["id"])] = _told(layers.get(str(line["id"]), _Layer()), dict(line))
    return Pulled.of(layers.values())


def _line(layer: str, status: str, **detail: int) -> dict[str, object]:
    return {"id": layer, "status": status, "progressDetail": detail}


def test_the_whole_size_is_told_once_it_is_known() -> None:
    waiting = [_line("a", "Downloading", current=10, total=100), _line("b", "Waiting")]
    assert _pulled(*waiting) == Pulled(10, 0, 2, 0)
    sized = [*waiting, _line("b", "Downloading", current=5, total=50), _line("c", "Already exists")]
    assert _pulled(*sized) == Pulled(15, 1, 3, 150)
    unpacking = [*sized, _line("a", "Extracting", current=3), _line("a", "Pull complete")]  # in seconds
    assert _pulled(*unpacking) == Pulled(15, 2, 3, 150)
