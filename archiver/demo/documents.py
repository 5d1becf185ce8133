"""Small real files for attachments: PDF, PNG and XLSX that open in any program.

Written by hand with the standard library, so that the same words give the same bytes on every machine. Nothing here
knows who attaches them or to what.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from xml.sax.saxutils import escape

PDF = "application/pdf"
PNG = "image/png"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def pdf(title: str, lines: tuple[str, ...]) -> bytes:
    """One A4 page. The built-in Helvetica knows Latin-1 only, so other characters print as question marks."""

    def literal(text: str) -> bytes:
        raw = text.encode("cp1252", "replace")
        return b"(" + raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b") Tj"

    strokes = [b"BT /F1 20 Tf 60 770 Td", literal(title), b"/F1 11 Tf 0 -34 Td"]
    for line in lines:
        strokes += [literal(line), b"0 -18 Td"]
    page = b"\n".join([*strokes, b"ET", b"0.95 0.6 0.1 rg 60 757 475 2 re f"])
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table))
    return out.getvalue()


def png(seed: int, width: int = 240, height: int = 160) -> bytes:
    """A picture of a parcel with a crack whose course depends on `seed`. RGB, 8 bits a channel, sizes in pixels."""
    left, right, top, bottom = width // 6, width * 5 // 6, height // 5, height * 9 // 10
    crack, step = left + (seed % (right - left)), seed | 1
    tape = (left + right) // 2 - 10
    rows = bytearray()
    for y in range(height):
        wall = bytes((222 - y // 4, 226 - y // 4, 232 - y // 4))
        row = bytearray(wall * width)
        if top <= y <= bottom:
            step = (step * 1103515245 + 12345) & 0x7FFFFFFF
            crack = min(right - 3, max(left + 2, crack + (step >> 16) % 5 - 2))
            row[3 * left : 3 * right] = bytes((196 - y // 6, 150 - y // 7, 98 - y // 9)) * (right - left)
            row[3 * tape : 3 * tape + 60] = bytes((216, 186, 140)) * 20
            row[3 * crack : 3 * crack + 9] = bytes((62, 40, 24)) * 3
        rows += b"\0" + row

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + chunk(b"IEND", b"")
    )


def xlsx(sheet: str, rows: tuple[tuple[str | int, ...], ...]) -> bytes:
    """One sheet of text and whole numbers."""

    def cell(column: int, row: int, value: str | int) -> str:
        place = f"{chr(65 + column)}{row}"
        if isinstance(value, int):
            return f'<c r="{place}"><v>{value}</v></c>'
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    body = "".join(
        f'<row r="{n}">' + "".join(cell(c, n, value) for c, value in enumerate(row)) + "</row>"
        for n, row in enumerate(rows, 1)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kinds}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        f'<sheet name="{escape(sheet)}" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        for name, text in parts.items():
            # A fixed date: the bytes must not depend on the day they were made.
            entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
            book.writestr(entry, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + text)
    return out.getvalue()
