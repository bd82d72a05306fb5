#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every clause of the contract has its test, and every test its clause.

usage: clauses.py TOP
"""

import pathlib
import re
import sys


def main():
    top = pathlib.Path(sys.argv[1])
    text = (top / 'docs/contract.md').read_text(encoding='utf-8')
    clauses = re.findall(r'^- \*\*C(\d\d)\*\*', text, re.M)
    tested = set()
    for path in sorted((top / 'tests/contract').glob('*.c')):
        tested.update(re.findall(r'^c(\d\d)_\w+\(',
                                 path.read_text(encoding='utf-8'), re.M))
    errors = []
    if clauses != [f'{n:02}' for n in range(1, len(clauses) + 1)]:
        errors.append('the clauses are not numbered one after the other')
    for clause in sorted(set(clauses) - tested):
        errors.append(f'C{clause} has no test')
    for test in sorted(tested - set(clauses)):
        errors.append(f'there is a test of C{test}, but no such clause')
    # Only these directories: build directories change while other tests run.
    sources = [top / 'docs']
    for part in ('include', 'lib', 'flow', 'tls', 'backends', 'examples',
                 'tests'):
        sources.append(top / part)
    for path in [path for directory in sources
                 for path in sorted(directory.rglob('*'))
                 if path.suffix in ('.c', '.h', '.md')]:
        for cited in re.findall(r'\bC(\d\d)\b',
                                path.read_text(encoding='utf-8')):
            if cited not in clauses:
                errors.append(f'{path.relative_to(top)} cites C{cited}')
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
