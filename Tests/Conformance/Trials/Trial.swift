import MockProvider

/// One thing that is tried with one provider: several make a cell. Each has a provider of its own in the configuration,
/// so that the pause or the fault of one does not touch another.
struct Trial: Sendable {
    let row: TableRow
    let column: Column
    /// Within the cell, from 1.
    let number: Int
    /// What tells it from the others of its cell; empty where it is the only one.
    let label: String
    /// The client is set up wrongly: the double does not know it, or knows another secret.
    var hasForeignClient = false
    let perform: @Sendable (Bench) async throws -> Void

    /// Of the configuration.
    var provider: String { "\(row.slug).\(column.slug).\(number)" }

    /// Clients that vouch for themselves are told apart by their ids.
    var clientID: String {
        hasForeignClient || row.double.row == .clientCredentials ? provider : row.double.clientID
    }

    /// All trials of a row, in the order of the columns.
    static func all(of row: TableRow, faults: [DoubleFault]) -> [Trial] {
        Column.allCases.filter { row.inapplicability(of: $0) == nil }.flatMap { column in
            trials(of: column, for: row, faults: faults)
        }
    }

    private static func trials(of column: Column, for row: TableRow, faults: [DoubleFault]) -> [Trial] {
        /// One trial for each of `cases`.
        func trials<Case: Sendable>(
            _ cases: [Case], _ label: (Case) -> String,
            _ perform: @escaping @Sendable (Bench, Case) async throws -> Void
        ) -> [Trial] {
            cases.enumerated().map { index, one in
                Trial(row: row, column: column, number: index + 1, label: label(one)) { try await perform($0, one) }
            }
        }
        func names(_ meaning: DoubleFault.Meaning) -> [String] {
            faults.filter { $0.meaning == meaning }.map(\.name)
        }
        switch column {
        case .refreshWorks: return trials([""], { $0 }) { bench, _ in try await bench.refreshWorks() }
        case .expiryRead: return trials([""], { $0 }) { bench, _ in try await bench.expiryIsReadRight() }
        case .rotationKept: return trials([""], { $0 }) { bench, _ in try await bench.rotationIsKept() }
        case .omissionSurvived: return trials([""], { $0 }) { bench, _ in try await bench.omissionIsSurvived() }
        case .finalError: return trials(names(.final), { $0 }) { try await $0.finalErrorEndsOnce($1) }
        case .transientError: return trials(names(.transient), { $0 }) { try await $0.transientErrorPasses($1) }
        case .throttle:
            return trials(Bench.pauses, { $0.words }) { try await $0.throttlePauses($1) }
        case .misconfiguration:
            return trials(names(.misconfigured), { $0 }) { try await $0.misconfigurationHarmsNoAccount($1) }
                + foreignClient(of: row, number: names(.misconfigured).count + 1)
        case .hostileAnswer:
            // What is said of a refresh token where there is none says nothing.
            let answers = HostileAnswer.allCases.filter { row.rotation != .none || $0 != .newlineInRefreshToken }
            return trials(answers, { $0.rawValue }) { try await $0.hostileAnswerIsClassed($1) }
        }
    }

    /// Where the double itself checks the client: a configuration with a wrong one.
    private static func foreignClient(of row: TableRow, number: Int) -> [Trial] {
        switch row.double.row {
        case .jwtBearer, .warp, .intranet: []
        case .oauth2, .clientCredentials, .claude, .gemini, .openai, .pixiv:
            [
                Trial(
                    row: row, column: .misconfiguration, number: number, label: "the client is not the registered one",
                    hasForeignClient: true
                ) { try await $0.foreignClientHarmsNoAccount() }
            ]
        }
    }
}
