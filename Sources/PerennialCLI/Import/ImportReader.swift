import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Reads import files: JSON lines, or CSV and TSV with a header (RFC 4180).
enum ImportReader {
    enum Format: String, CaseIterable { case jsonl, csv, tsv }

    /// By the name of the file, else by its first character.
    static func format(path: String, text: String) -> Format {
        let name = path.lowercased()
        if name.hasSuffix(".csv") { return .csv }
        if name.hasSuffix(".tsv") || name.hasSuffix(".tab") { return .tsv }
        let first = text.first { !$0.isWhitespace }
        if first == "{" { return .jsonl }
        let header = text.prefix { !$0.isNewline }
        return header.contains("\t") ? .tsv : .csv
    }

    /// - Throws: ``CommandFailure`` for a file that cannot be read as a whole (no header, unknown column).
    static func read(_ text: String, format: Format) throws -> (records: [ImportRecord], bad: [BadLine]) {
        switch format {
        case .jsonl: readLines(text)
        case .csv: try readTable(text, separator: ",")
        case .tsv: try readTable(text, separator: "\t")
        }
    }

    // MARK: JSON lines

    private static func readLines(_ text: String) -> (records: [ImportRecord], bad: [BadLine]) {
        var records: [ImportRecord] = []
        var bad: [BadLine] = []
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        for (index, line) in lines.enumerated() where !line.allSatisfy(\.isWhitespace) {
            do throws(BadLine) {
                records.append(try fields(line, number: index + 1).record(line: index + 1))
            } catch {
                bad.append(error)
            }
        }
        return (records, bad)
    }

    private enum Scalar: Decodable {
        case text(String)
        case number(Double)
        case texts([String: String])
        case null

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else if let texts = try? container.decode([String: String].self) {
                self = .texts(texts)
            } else {
                self = .number(try container.decode(Double.self))
            }
        }
    }

    private static func fields(_ line: Substring, number: Int) throws(BadLine) -> ImportFields {
        guard let object = try? JSONDecoder().decode([String: Scalar].self, from: Data(line.utf8)) else {
            throw BadLine(
                line: number,
                reason: "is no JSON object of texts and numbers (labels and credentials may be objects of texts)")
        }
        var fields = ImportFields()
        for (name, value) in object {
            if name == "credentials", case .texts(let members) = value {
                for (member, text) in members {
                    guard AccountFields.isName(member) else {
                        throw BadLine(line: number, reason: "credentials has a name that is none")
                    }
                    fields.values[ImportFields.credentialPrefix + member] = text
                }
                continue
            }
            guard ImportFields.known.contains(name) else {
                throw BadLine(
                    line: number,
                    reason:
                        "unknown field \"\(name.prefix(40))\" (known: \(ImportFields.known.joined(separator: ", ")))")
            }
            switch value {
            case .text(let text) where name == "labels": try fields.takeLabels(cell: text, line: number)
            case .texts(let texts) where name == "labels": fields.labels = texts
            case .text(let text): fields.values[name] = text
            case .texts: throw BadLine(line: number, reason: "\(name) has to be a text")
            case .number(let value): fields.values[name] = String(value)
            case .null: break
            }
        }
        return fields
    }

    // MARK: Tables

    private static func readTable(
        _ text: String, separator: Character
    ) throws -> (records: [ImportRecord], bad: [BadLine]) {
        var rows = SeparatedRows(text, separator: separator)
        guard let header = rows.next(), case .success(let names) = header.cells else {
            throw CommandFailure(.local, "the file is empty: the first line has to name the columns")
        }
        let columns = names.map { name in
            let column = name.filter { !$0.isWhitespace }
            let prefix = ImportFields.credentialPrefix
            // The names of fields are the provider's, whose upper and lower case counts.
            return column.lowercased().hasPrefix(prefix) ? prefix + column.dropFirst(prefix.count) : column.lowercased()
        }
        for column in columns where !ImportFields.isKnown(column) {
            throw CommandFailure(
                .local,
                "line 1: unknown column \"\(column.prefix(40))\" (known: \(ImportFields.known.joined(separator: ", ")))"
            )
        }
        let hasFields = columns.contains { $0.hasPrefix(ImportFields.credentialPrefix) }
        for needed in ["id", "provider"] + (hasFields ? [] : ["refresh_token"]) where !columns.contains(needed) {
            throw CommandFailure(.local, "line 1: the column \(needed) is missing")
        }
        var records: [ImportRecord] = []
        var bad: [BadLine] = []
        while let row = rows.next() {
            do throws(BadLine) {
                let cells: [String]
                switch row.cells {
                case .success(let found): cells = found
                case .failure(let error): throw error
                }
                if cells.count == 1, cells[0].allSatisfy(\.isWhitespace) { continue }
                guard cells.count == columns.count else {
                    throw BadLine(
                        line: row.line, reason: "has \(cells.count) fields, the header has \(columns.count)")
                }
                var fields = ImportFields()
                for (column, cell) in zip(columns, cells) {
                    if column == "labels" {
                        try fields.takeLabels(cell: cell, line: row.line)
                    } else {
                        fields.values[column] = cell
                    }
                }
                records.append(try fields.record(line: row.line))
            } catch {
                bad.append(error)
            }
        }
        return (records, bad)
    }
}

/// Rows of separated values with quotes as in RFC 4180; knows the line on which each begins.
struct SeparatedRows {
    private var rest: Substring
    private let separator: Character
    private var line = 0

    init(_ text: String, separator: Character) {
        // Spreadsheets begin their files with a byte order mark.
        self.rest = text.drop { $0 == "\u{feff}" }
        self.separator = separator
    }

    mutating func next() -> (line: Int, cells: Result<[String], BadLine>)? {
        guard !rest.isEmpty else { return nil }
        line += 1
        let start = line
        var cells: [String] = []
        var cell = ""
        var isQuoted = false
        while let character = rest.popFirst() {
            if isQuoted {
                if character == "\"" {
                    if rest.first == "\"" { cell.append(rest.removeFirst()) } else { isQuoted = false }
                } else {
                    if character.isNewline { line += 1 }
                    cell.append(character)
                }
            } else if character == "\"", cell.isEmpty {
                isQuoted = true
            } else if character == separator {
                cells.append(cell)
                cell = ""
            } else if character.isNewline {
                return (start, .success(cells + [cell]))
            } else {
                cell.append(character)
            }
        }
        if isQuoted { return (start, .failure(BadLine(line: start, reason: "a quote is never closed"))) }
        return (start, .success(cells + [cell]))
    }
}
