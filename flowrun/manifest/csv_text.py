"""Comma-separated text with a place for every cell. Owns the scanner; the standard library's keeps no columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Note, Severity
from flowrun.diagnostics.span import Span
from flowrun.yaml_tree import Entry, Mapping, Scalar, Sequence
from flowrun.yaml_tree.characters import Lines, problems

_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_BARE = re.compile(r"[^,\r\n]*")
_BREAK = re.compile(r"\r\n|\n|\r")
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}


@dataclass(slots=True)
class Table:
    """Headings and rows of one text; what is wrong with it in `problems`."""

    headings: list[Scalar] = field(default_factory=list)
    rows: list[list[Scalar]] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)

    def records(self, span: Span) -> Sequence:
        return Sequence(tuple(self._record(row) for row in self.rows), span)

    def _record(self, row: list[Scalar]) -> Mapping:
        entries = (Entry(heading, cell) for heading, cell in zip(self.headings, row, strict=True))
        return Mapping(tuple(entries), _around(row))


def read(text: str, file: str) -> Table:
    """The first line that is not blank has the headings. Raises DiagnosticError with all errors; warnings are in the table."""
    lines = Lines(text, file)
    table = Table(problems=list(problems(text, lines)))
    reader = _Reader(text, lines, table)
    for row in reader.rows():
        if not table.headings:
            table.headings = row
            table.problems += [*_heading_problems(row), *_separator_problems(row)]
        elif len(row) == len(table.headings):
            table.rows.append(row)
        else:
            table.problems.append(_ragged(row, len(table.headings), _around(table.headings)))
    if not table.headings:
        hint = "the first line names the columns"
        table.problems.append(Diagnostic("bad-csv", "the file is empty", lines.span(0, 0), hint))
    if any(each.is_error for each in table.problems):
        raise DiagnosticError(table.problems)
    return table


class _Reader:
    def __init__(self, text: str, lines: Lines, table: Table) -> None:
        self.text, self.lines, self.table, self.at = text, lines, table, 0

    def rows(self) -> Iterator[list[Scalar]]:
        """Rows that are not blank."""
        while self.at < len(self.text):
            start = self.at
            row = self._row()
            if self.text[start : self.at].strip():
                yield row

    def _row(self) -> list[Scalar]:
        row = [self._cell()]
        while self.text[self.at : self.at + 1] == ",":
            self.at += 1
            row.append(self._cell())
        end = _BREAK.match(self.text, self.at)
        self.at = end.end() if end else self.at
        return row

    def _cell(self) -> Scalar:
        start = self.at
        if self.text[start : start + 1] == '"':
            return self._quoted(start)
        bare = _BARE.match(self.text, start)
        self.at = bare.end() if bare else start
        return Scalar(self.text[start : self.at], self.lines.span(start, self.at), literal=True)

    def _quoted(self, start: int) -> Scalar:
        quoted = _QUOTED.match(self.text, start)
        if quoted is None:
            self._problem(
                "the quote opened here is never closed", start, start + 1, 'close it; a quote inside is written ""'
            )
            self.at = len(self.text)
            return Scalar("", self.lines.span(start, start + 1), literal=True)
        self.at = quoted.end()
        span = self.lines.span(start, self.at)
        rest = _BARE.match(self.text, self.at)
        if rest and rest.group():
            self._problem(
                "text follows the closing quote", rest.start(), rest.end(), 'a quote inside a cell is written ""'
            )
            self.at = rest.end()
        return Scalar(quoted[1].replace('""', '"'), span, literal=True)

    def _problem(self, message: str, start: int, end: int, hint: str) -> None:
        self.table.problems.append(Diagnostic("bad-csv", message, self.lines.span(start, end), hint))


def _around(row: list[Scalar]) -> Span:
    first, last = row[0].span, row[-1].span
    return Span(first.file, first.line, first.column, last.end_line, last.end_column)


def _heading_problems(row: list[Scalar]) -> Iterator[Diagnostic]:
    seen: dict[object, Scalar] = {}
    for cell in row:
        if not str(cell.value).strip():
            yield Diagnostic("bad-csv", "this column has no heading", cell.span, "name it, or take the comma out")
        elif cell.value in seen:
            notes = (Note("it stands here already", seen[cell.value].span),)
            message = f"the heading `{cell.value}` stands twice"
            yield Diagnostic("repeated-heading", message, cell.span, "rename one of the two", notes)
        seen.setdefault(cell.value, cell)


def _separator_problems(row: list[Scalar]) -> Iterator[Diagnostic]:
    if len(row) > 1:
        return
    for separator, name in _OTHER_SEPARATORS.items():
        if separator in str(row[0].value):
            message = f"this looks like columns separated by {name}, and is read as one column"
            yield Diagnostic(
                "csv-separator", message, row[0].span, "separate columns by commas", severity=Severity.WARNING
            )


def _ragged(row: list[Scalar], wanted: int, headings: Span) -> Diagnostic:
    """Points to the first cell too many, or to the end of the line that is short."""
    notes = (Note(f"the headings are {wanted}", headings),)
    if len(row) > wanted:
        span, hint = _around(row[wanted:]), "put a cell that holds a comma in double quotes"
    else:
        end = row[-1].span
        span, hint = (
            Span(end.file, end.end_line, end.end_column, end.end_line, end.end_column),
            "a cell may be empty, but its comma must be there",
        )
    return Diagnostic("ragged-row", f"this row has {len(row)} cells, and there are {wanted} columns", span, hint, notes)
