"""Constant propagation over a thread's graph, and the clean-up that follows it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace

from . import fold, ir

# What a local may hold at a node: a constant, or anything (None).
Facts = dict[int, int | None]


def simplify(program: ir.Program) -> ir.Program:
    """Replace locals that are constant wherever they are read; drop what becomes unreachable."""
    return replace(program, threads=[propagate(thread) for thread in program.threads])


def map_expr(expr: ir.Expr, f: Callable[[ir.Expr], ir.Expr]) -> ir.Expr:
    """Rebuild an expression bottom-up: subexpressions first, folded, then ``f`` on the result.

    What does not change is not copied.
    """
    if isinstance(expr, ir.Const):
        return f(expr)
    if isinstance(expr, ir.Binary):
        left, right = map_expr(expr.left, f), map_expr(expr.right, f)
        if left is expr.left and right is expr.right:
            return f(expr)
        try:
            return f(fold.binary(expr.op, left, right, expr.ctype))
        except ZeroDivisionError:
            return f(ir.Binary(expr.op, left, right, expr.ctype))
    if isinstance(expr, ir.Local):
        if expr.index is None:
            return f(expr)
        index = map_expr(expr.index, f)
        return f(expr if index is expr.index else ir.Local(expr.var, index))
    if isinstance(expr, ir.Shared):
        index = map_expr(expr.index, f)
        return f(expr if index is expr.index else ir.Shared(expr.var, index))
    if isinstance(expr, ir.Unary):
        operand = map_expr(expr.operand, f)
        return f(expr if operand is expr.operand else fold.unary(expr.op, operand, expr.ctype))
    if isinstance(expr, ir.Cond):
        parts = map_expr(expr.test, f), map_expr(expr.then, f), map_expr(expr.other, f)
        same = all(new is old for new, old in zip(parts, ir.children(expr), strict=True))
        return f(expr if same else fold.cond(*parts))
    if isinstance(expr, ir.ListNext):
        return f(ir.ListNext(_map_list(expr.list, f), map_expr(expr.node, f)))
    return f(expr)


def _map_list(ref: ir.ListRef, f: Callable[[ir.Expr], ir.Expr]) -> ir.ListRef:
    return ir.ListRef(ref.var, map_expr(ref.base, f), ref.capacity, ref.empty)


def map_action(action: ir.Action, f: Callable[[ir.Expr], ir.Expr]) -> ir.Action:
    """The action with every expression it evaluates rebuilt; targets stay targets."""

    def sub(expr: ir.Expr) -> ir.Expr:
        return map_expr(expr, f)

    match action:
        case ir.Assign(ir.Local(var, index), value):
            return ir.Assign(ir.Local(var, None if index is None else sub(index)), sub(value))
        case ir.Assign(ir.Shared(var, index), value):
            return ir.Assign(ir.Shared(var, sub(index)), sub(value))
        case ir.Branch(test, other):
            return ir.Branch(sub(test), other)
        case ir.Choose(target, count, label):
            return ir.Choose(target, sub(count), label)
        case ir.Wait(guard, reason, rest):
            return ir.Wait(sub(guard), reason, rest)
        case ir.Check(test, name, message):
            return ir.Check(sub(test), name, message)
        case ir.ListInsert(ref, where, node, anchor):
            behind = None if anchor is None else sub(anchor)
            return ir.ListInsert(_map_list(ref, f), where, sub(node), behind)
        case ir.ListRemove(ref, node):
            return ir.ListRemove(_map_list(ref, f), sub(node))
    return action


def _known(facts: Facts, variables: list[ir.LocalVar]) -> Callable[[ir.Expr], ir.Expr]:
    def replace_known(expr: ir.Expr) -> ir.Expr:
        if isinstance(expr, ir.Local) and expr.index is None:
            value = facts.get(expr.var)
            if value is not None:
                return ir.Const(value, variables[expr.var].domain.ctype)
        return expr

    return replace_known


def substitute(expr: ir.Expr, known: Facts, variables: list[ir.LocalVar]) -> ir.Expr:
    """The expression with known locals as constants, folded."""
    return map_expr(expr, _known(known, variables))


def rewrite(action: ir.Action, known: Facts, variables: list[ir.LocalVar]) -> ir.Action:
    """The action with known locals as constants."""
    return map_action(action, _known(known, variables))


def _after(action: ir.Action, facts: Facts, locals_: list[ir.LocalVar]) -> Facts:
    match action:
        case ir.Assign(ir.Local(var, None), value):
            folded = substitute(value, facts, locals_)
            result = dict(facts)
            constant = folded.value if isinstance(folded, ir.Const) else None
            domain = locals_[var].domain
            if constant is not None and not domain.low <= constant <= domain.high:
                constant = None  # the store will be reported; nothing follows from it
            result[var] = constant
            return result
        case ir.Choose(ir.Local(var, None), _, _):
            return {**facts, var: None}
    return facts


def propagate(thread: ir.Thread) -> ir.Thread:
    """Conditional constant propagation (Wegman and Zadeck 1991) for scalar locals.

    Facts are kept for live locals only, and nodes are visited in reverse postorder: both
    only for speed.
    """
    code = thread.code
    live = _live(thread)
    rank = {node: position for position, node in enumerate(reverse_postorder(thread))}
    facts: list[Facts | None] = [None] * len(code)
    facts[thread.entry] = {}
    queue = [(0, thread.entry)]
    while queue:
        _, node = heapq.heappop(queue)
        before = facts[node]
        assert before is not None
        instr = code[node]
        after = _after(instr.action, before, thread.locals)
        for successor in _taken(instr, before, thread.locals):
            alive = live[successor]
            kept = {var: value for var, value in after.items() if alive >> var & 1}
            known = facts[successor]
            merged = kept if known is None else _meet(known, kept)
            if merged != known:
                facts[successor] = merged
                heapq.heappush(queue, (rank[successor], successor))
    order = [node for node in range(len(code)) if facts[node] is not None]
    result: list[ir.Instr] = []
    for node in order:
        instr, known = code[node], facts[node]
        assert known is not None
        action = rewrite(instr.action, known, thread.locals)
        onward = instr.next
        match action:
            case ir.Branch(ir.Const(value), other):
                action, onward = ir.Nop(bool(instr.where.lines)), instr.next if value else other
            case ir.Check(ir.Const(value)) | ir.Wait(ir.Const(value)) if value:
                action = ir.Nop(bool(instr.where.lines))
        stop = instr.fine_stop
        result.append(replace(instr, action=action, next=onward, fine_stop=stop))
    numbers = {node: position for position, node in enumerate(order)}
    for instr in result:
        if not isinstance(instr.action, ir.End):
            instr.next = numbers[instr.next]
        if isinstance(instr.action, ir.Branch):
            instr.action = ir.Branch(instr.action.test, numbers[instr.action.other])
    return compact(replace(thread, code=result, entry=numbers[thread.entry]))


def _meet(one: Facts, two: Facts) -> Facts:
    """What holds on both paths.  An unbound local has no fact and takes the other path's."""
    result = dict(one)
    for var, value in two.items():
        if var not in result:
            result[var] = value
        elif result[var] != value:
            result[var] = None
    return result


def reverse_postorder(thread: ir.Thread) -> list[int]:
    """The nodes that can be reached, each before its successors but for loops."""
    order: list[int] = []
    seen = {thread.entry}
    stack = [(thread.entry, iter(thread.code[thread.entry].successors()))]
    while stack:
        node, successors = stack[-1]
        onward = next((n for n in successors if n not in seen), None)
        if onward is None:
            order.append(node)
            stack.pop()
        else:
            seen.add(onward)
            stack.append((onward, iter(thread.code[onward].successors())))
    order.reverse()
    return order


def _live(thread: ir.Thread) -> list[int]:
    """For each node the scalar locals that may be read from there on, as a bit mask."""
    uses, defines = [], []
    for instr in thread.code:
        used = 0
        for root in ir.action_reads(instr.action):
            for part in ir.walk(root):
                if isinstance(part, ir.Local):
                    used |= 1 << part.var
        uses.append(used)
        match instr.action:
            case ir.Assign(ir.Local(var, None)) | ir.Choose(ir.Local(var, None)):
                defines.append(1 << var)
            case _:
                defines.append(0)
    live = [0] * len(thread.code)
    order = reverse_postorder(thread)[::-1]
    changed = True
    while changed:
        changed = False
        for node in order:
            after = 0
            for successor in thread.code[node].successors():
                after |= live[successor]
            before = uses[node] | (after & ~defines[node])
            if before != live[node]:
                live[node] = before
                changed = True
    return live


def _taken(instr: ir.Instr, facts: Facts, locals_: list[ir.LocalVar]) -> tuple[int, ...]:
    match instr.action:
        case ir.Branch(test, other):
            folded = substitute(test, facts, locals_)
            if isinstance(folded, ir.Const):
                return (instr.next if folded.value else other,)
        case ir.Check(test):
            folded = substitute(test, facts, locals_)
            if fold.is_const(folded, 0):
                return (instr.next,)
    return instr.successors()


def compact(thread: ir.Thread) -> ir.Thread:
    """Drop empty nodes and renumber in a depth-first order; drop unused locals."""
    code = thread.code

    def resolve(node: int) -> int:
        seen = set()
        while (
            code[node].action == ir.Nop()
            and not code[node].fine_stop
            and code[node].sync is None
            and node not in seen
        ):
            seen.add(node)
            node = code[node].next
        return node

    entry = resolve(thread.entry)
    order: dict[int, int] = {}
    stack = [entry]
    while stack:
        node = stack.pop()
        if node in order:
            continue
        order[node] = len(order)
        instr = code[node]
        if isinstance(instr.action, ir.End):
            continue
        instr.next = resolve(instr.next)
        if isinstance(instr.action, ir.Branch):
            instr.action = ir.Branch(instr.action.test, resolve(instr.action.other))
            stack.append(instr.action.other)
        stack.append(instr.next)
    return replace(thread, code=ir.renumber(code, order), entry=order[entry])
