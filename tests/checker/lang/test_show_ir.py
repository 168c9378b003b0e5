"""The printed IR is stable, and says everything."""

# ruff: noqa: E501 (golden lines are as long as they are)

from __future__ import annotations

import re

from genfscheck.checker.explore.prepare import prepare
from genfscheck.checker.lang import ir
from genfscheck.checker.lang.show import program_lines, thread_lines

from .helpers import program

TEXT = """
@record
class Box:
    lock: Mutex
    n: int32
    line: Annotated[List[Box], size(2)]
    seen: Annotated[int32, ghost]

boxes = Pool(Box, 2)

@routine
def grow(box: Box, by: int32) -> int32:
    old: int32 = box.n  # 7
    while box.n < by:
        box.n += 1  # 8-9: one more
    return old

@actor
def run(by: int32) -> None:
    mutex_enter(boxes[0].lock)
    boxes[1].seen = choose(2, "which")
    if grow(boxes[0], by) == 0 or not mutex_owned(boxes[1].lock):
        boxes[0].line.insert_head(boxes[1])
        boxes[0].line.insert_before(boxes[1], boxes[0])
        boxes[0].line.remove(boxes[0].line.next(boxes[0]))
    mutex_exit(boxes[0].lock)
    rest_until(boxes[0].n == 2, "two")
    kassert(cast(int32, boxes[0].n) > 0)

@invariant("few")
def few() -> bool:
    return all(min(box.n, 9) < 9 for box in boxes)
"""

GOLDEN = """
program toy, variant -
  threads.wchan: int 0..0
  boxes.lock.owner[2]: thread 0..1
  boxes.n[2]: int -8..119
  boxes.line[4]: ref 0..2
  ghost boxes.seen[2]: int -8..119
thread 0 run0: entry 0
    0* wait until ((boxes.lock.owner[0] == 1) or (boxes.lock.owner[0] == 0)) (mutex)  [mutex_enter ]
    1  check lock-discipline: (boxes.lock.owner[0] != 0) (takes a mutex that it holds already)  [mutex_enter ]
    2  boxes.lock.owner[0] := 0  <acquire w>  [mutex_enter ]
    3* $0 := any of 2 (which)  [run ]
    4  boxes.seen[1] := $0  [run ]
    5* $1 := boxes.n[0]  [grow 7]
    6  old.2 := $1  [grow 7]
    7* $3 := boxes.n[0]  [grow ]
    8  unless ($3 < 2) goto 11  [grow ]
    9* $4 := boxes.n[0]  [grow 8,9]
   10* boxes.n[0] := ($4 + 1) -> 7  [grow 8,9]
   11  unless (old.2 == 0) goto 24  [run ]
   12* insert 1 head in boxes.line[0]  [run ]
   13* insert 0 before 1 in boxes.line[0]  [run ]
   14* $6 := next(boxes.line[0], 0)  [run ]
   15* remove $6 from boxes.line[0]  [run ]
   16* check lock-discipline: (boxes.lock.owner[0] == 0) (releases a mutex that it does not hold)  [mutex_exit ]
   17  boxes.lock.owner[0] := 1  <release w>  [mutex_exit ]
   18* rest until (boxes.n[0] == 2) (two)  [run ]
   19* $7 := boxes.n[0]  [run ]
   20  unless ($7 > 0) goto 22  [run ]
   21  end  [ ]
   22  check kassert: 0 (cast(int32, boxes[0].n) > 0)  [run ]
   23  end  [ ]
   24* $5 := (boxes.lock.owner[1] == 0)  [run ]
   25  unless ($5 != 0) goto 12 -> 16  [run ]
invariant few: ((min(boxes.n[0], 9) < 9) and (min(boxes.n[1], 9) < 9))
"""


def test_golden() -> None:
    printed = "\n".join(program_lines(program(TEXT, ("run", {"by": 2}))))
    assert printed == GOLDEN.strip("\n")


def test_every_node_is_printed() -> None:
    model = program(TEXT, ("run", {"by": 1}), ("run", {"by": 3}))
    for shown in (model, prepare(model)):
        for thread in shown.threads:
            head, *lines = thread_lines(shown, thread)
            assert head == f"thread {thread.index} {thread.name}: entry {thread.entry}"
            assert [int(re.split(r"[ *]", line.strip())[0]) for line in lines] == list(
                range(len(thread.code))
            )
            for instr, line in zip(thread.code, lines, strict=True):
                assert (line[5] == "*") == instr.fine_stop
                assert ("<" + instr.sync.kind in line) if instr.sync else "<acquire" not in line
                for target in instr.successors():
                    assert target == thread.code.index(instr) + 1 or str(target) in line


def test_one_routine() -> None:
    model = program(TEXT, ("run", {"by": 1}))
    (thread,) = model.threads
    lines = list(thread_lines(model, thread, "grow"))[1:]
    inside = [i for i in thread.code if any(p.startswith("grow") for p in i.where.stack)]
    assert 0 < len(lines) == len(inside) < len(thread.code)
    assert any("[grow 8,9]" in line for line in lines)


def test_kinds_of_nodes() -> None:
    """Every kind of instruction has words of its own."""
    (thread,) = program(TEXT, ("run", {"by": 1})).threads
    kinds = {type(instr.action) for instr in thread.code}
    everything = {ir.Assign, ir.Branch, ir.Choose, ir.Wait, ir.Check, ir.ListInsert,
                  ir.ListRemove, ir.End}  # fmt: skip
    assert kinds == everything
