import Foundation
import Testing

@testable import PerennialAPI

/// docs/problems.md has every code, with its status and title.
@Suite struct DocumentedProblemsTests {
    @Test func everyCodeIsListedOnce() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "docs/problems.md")
        let rows = try String(contentsOf: page, encoding: .utf8).split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            return cells.count == 4 && Int(cells[0]) != nil ? cells : nil
        }
        #expect(rows.allSatisfy { !$0[3].isEmpty })
        #expect(
            rows.map { $0.prefix(3).joined(separator: " ") }.sorted()
                == Problem.Code.allCases.map { "\($0.status) `\($0.rawValue)` \($0.title)" }.sorted())
    }
}
