"""What a year of rents of a list of tokenized houses gives to whom, by decimal arithmetic alone.

Usage: real_rents.py LIST FACTS

LIST is the list of houses. FACTS has one fact a line: `rate COUNTRY PPM` (`*` for everybody else), `party ID COUNTRY` (`-`
where it is not known), `holding CONTRACT PARTY TOKENS`, `distribution CONTRACT MONTH FIRST`, where FIRST is the party with
which the circle begins in which equal fractions are served. Shares no code with the program that it checks.
"""

import csv
import hashlib
import sys
from collections import defaultdict
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, getcontext

getcontext().prec = 80
CENT = Decimal("0.01")


def split(total, weights, first):
    """Largest remainder: who has which weight of `weights` gets how much of `total`."""
    whole = sum(weights.values())
    exact = {who: total * weight / CENT for who, weight in weights.items()}
    cents = {who: (share / whole).quantize(Decimal(1), ROUND_FLOOR) for who, share in exact.items()}
    rest = {who: exact[who] - cents[who] * whole for who in weights}
    left = total / CENT - sum(cents.values())
    # The largest rests first; equal ones from `first` on, and then from the beginning.
    circle = sorted(weights, key=lambda who: (-rest[who], who < first, who))
    for who in circle[: int(left)]:
        cents[who] += 1
    return {who: amount * CENT for who, amount in cents.items()}


def main(list_path, facts_path):
    with open(list_path, encoding="utf-8", newline="") as file:
        rents = {row["contract"].lower(): Decimal(row["net_rent_year_usd"]) for row in csv.DictReader(file)}
    rates, parties, holdings, distributions = {}, {}, defaultdict(dict), defaultdict(dict)
    with open(facts_path, encoding="utf-8") as file:
        for line in file:
            kind, *words = line.split()
            if kind == "rate":
                rates[words[0]] = Decimal(words[1]) / 1_000_000
            elif kind == "party":
                parties[words[0]] = words[1]
            elif kind == "holding":
                holdings[words[0]][words[1]] = Decimal(words[2])
            else:
                distributions[words[0]][words[1]] = words[2]

    sums = defaultdict(lambda: [Decimal(0), Decimal(0)])
    lines = []
    for contract, months in distributions.items():
        twelve = split(rents[contract], {month: Decimal(1) for month in range(12)}, 0)
        for number, month in enumerate(sorted(months)):
            for party, amount in split(twelve[number], holdings[contract], months[month]).items():
                rate = rates.get(parties[party], rates["*"])
                withheld = (amount * rate).quantize(CENT, ROUND_HALF_UP)
                lines.append(f"{contract} {month} {party} {amount:.2f} {withheld:.2f}")
                for key in (f"investor {party}", f"property {contract}", f"month {month}", "all"):
                    sums[key][0] += amount
                    sums[key][1] += withheld
    for key in sorted(sums):
        amount, withheld = sums[key]
        print(f"{key} {amount:.2f} {withheld:.2f} {amount - withheld:.2f}")
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    print(f"lines {len(lines)} {digest}")


main(*sys.argv[1:])
