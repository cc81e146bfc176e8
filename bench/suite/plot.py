"""Bars as an SVG file: of each workload and pass the targets beside each other, as shares of the reference."""

from xml.sax.saxutils import escape

COLOURS = ["#2a6f97", "#61a5c2", "#e76f51", "#f4a261", "#8d99ae", "#6a4c93", "#43aa8b", "#b56576"]
LEFT, BAR, GAP, WIDTH = 380, 11, 12, 1000


def bars(title, groups, path):
    """groups: [(text, [(label, share of the reference, text of the value)])]. The reference is at 1."""
    labels = sorted({label for _, entries in groups for label, _, _ in entries})
    colour = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)}
    most = max([1.5] + [share for _, entries in groups for _, share, _ in entries])
    most = min(most, 4.0)  # longer ones end there, with their value beside them
    scale = (WIDTH - LEFT - 150) / most
    lines, y = [], 70
    for text, entries in groups:
        middle = y + BAR * len(entries) / 2 + 4
        lines.append(f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(text)}</text>')
        for label, share, value in entries:
            length = max(min(share, most) * scale, 1)
            lines.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 1}" fill="{colour[label]}"/>')
            lines.append(f'<text x="{LEFT + length + 4:.1f}" y="{y + BAR - 2}" class="v">{escape(value)}</text>')
            y += BAR
        y += GAP
    legend, x = [], LEFT
    for label in labels:
        legend.append(f'<rect x="{x}" y="38" width="10" height="10" fill="{colour[label]}"/>'
                      f'<text x="{x + 14}" y="47">{escape(label)}</text>')
        x += 30 + 7 * len(label)
    one = LEFT + scale
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 20}" '
                   'font-family="sans-serif" font-size="12">\n'
                   '<style>.v{font-size:9px;fill:#444}</style>\n'
                   f'<rect width="100%" height="100%" fill="white"/>\n'
                   f'<text x="20" y="24" font-size="16">{escape(title)}</text>\n' + "\n".join(legend) +
                   f'\n<line x1="{one:.1f}" y1="58" x2="{one:.1f}" y2="{y}" stroke="#444" stroke-dasharray="3 3"/>\n'
                   f'<text x="{one:.1f}" y="{y + 14}" text-anchor="middle">the reference</text>\n' +
                   "\n".join(lines) + "\n</svg>\n")
