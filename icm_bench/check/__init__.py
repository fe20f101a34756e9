"""Regression checks: a baseline's own grid, measured anew and compared cell by cell.

    baseline.json --its grid--> plan --run--> measured --compare--> findings --> table, Markdown, JUnit, JSON
                                                  golden streams --decode--> findings
"""
