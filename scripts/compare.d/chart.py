"""The chart of `scripts/compare`: one pair of bars for each row, ours as a share of theirs, as SVG."""
from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, GAP = 860, 300, 14, 16


def bars(rows, facts):
    rows = [row for row in rows if row["kamailio"]["value"] == row["kamailio"]["value"]]
    height = 60 + len(rows) * (2 * BAR + GAP) + 20
    span = WIDTH - LABEL - 120
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif" font-size="12" role="img">',
           "<title>Cost of lampyris beside Kamailio, per operation</title>",
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="10" y="20" font-size="14">CPU and memory per operation: lampyris (green), Kamailio '
           f'{escape(facts["kamailio"])} in memory only (grey)</text>',
           f'<text x="10" y="38" fill="#555">{escape(facts["cpus"])}, {escape(facts["date"])}; each row to its own scale</text>']
    y = 56
    for row in rows:
        most = max(row["lampyris"]["value"], row["kamailio"]["value"], 1e-9)
        out.append(f'<text x="10" y="{y + BAR + 4}">{escape(row["name"])}</text>')
        for name, colour in (("lampyris", "#3a9d4e"), ("kamailio", "#9a9a9a")):
            value = row[name]["value"]
            out.append(f'<rect x="{LABEL}" y="{y}" width="{value / most * span:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            out.append(f'<text x="{LABEL + value / most * span + 6:.1f}" y="{y + BAR - 4}">{value:.4g} {row["unit"]}</text>')
            y += BAR
        y += GAP
    out.append("</svg>")
    return "\n".join(out) + "\n"
