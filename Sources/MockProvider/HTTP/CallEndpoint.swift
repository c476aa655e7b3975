import FoundationEssentials
import HTTPTypes
import NIOConcurrencyHelpers
import NIOCore

/// The protected calls of the mock provider: `/resource`, and those of ``DoubleCall``. They have one quota for each
/// account, and a record.
final class CallEndpoint: Sendable {
    /// One call, as `GET /admin/calls` shows it.
    struct Record: Codable, Sendable, Equatable {
        /// Counts from 1.
        var sequence: Int
        /// Milliseconds since 1970.
        var at: Int64
        /// Nil where the token was not good.
        var account: String?
        var path: String
        /// 200, 401 or 429.
        var status: Int
    }

    /// The body of `PUT /admin/quota`: calls of each account until the first refusal, and seconds from that until there
    /// are as many again.
    struct Quota: Codable, Sendable, Equatable {
        var calls: Int
        var refill: Double

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case calls, refill
        }

        init(from decoder: any Decoder) throws {
            try decoder.refuseUnknownKeys(besides: CodingKeys.allCases.map(\.rawValue))
            let container = try decoder.container(keyedBy: CodingKeys.self)
            calls = try container.decode(Int.self, forKey: .calls)
            refill = try container.decodeIfPresent(Double.self, forKey: .refill) ?? 60
            guard calls >= 0 else { throw MockProviderError(.invalidRequest, "calls must be 0 or more") }
            guard refill > 0, refill <= 86_400 else {
                throw MockProviderError(.invalidRequest, "refill must be above 0 s and at most a day")
            }
        }
    }

    private struct State {
        var quota: DoubleQuota?
        var meters: [String: DoubleMeter] = [:]
        var records: [Record] = []
        var last = 0
    }

    /// Older records are dropped.
    private static let mostRecords = 20_000

    private let state = NIOLockedValueBox(State())
    private let gauge = StreamGauge()

    /// - Parameters:
    ///   - answer: what the token in `request` is worth.
    ///   - refusal: of a token that is not good.
    func answer(
        _ request: DoubleRequest, _ answer: MockResourceAnswer, refusal: MockReply, at now: MockInstant
    ) -> MockReply {
        guard case .ok(let account) = answer else {
            record(request, account: nil, status: 401, at: now)
            return refusal
        }
        let end = state.withLockedValue { state in
            state.quota.flatMap { state.meters[account, default: DoubleMeter()].take($0, at: now) }
        }
        if let end {
            record(request, account: account, status: 429, at: now)
            var reply = MockReply.error(.tooManyRequests, "quota_exceeded", "No remaining quota")
            DoubleQuota.Notice.retryAfter.tell(&reply, end: end, at: now)
            return reply
        }
        record(request, account: account, status: 200, at: now)
        let presented = DoublePresented(token: request.bearer ?? "", place: "bearer")
        return DoubleCall(path: request.path)?.answer(request, of: account, with: presented, gauge: gauge)
            ?? .json(.ok, ["account": .text(account)])
    }

    func setQuota(_ quota: Quota?) {
        state.withLockedValue { state in
            state.quota = quota.map {
                DoubleQuota(calls: $0.calls, refill: .milliseconds(Int64(($0.refill * 1000).rounded())))
            }
            state.meters = [:]
        }
    }

    /// Those after a sequence number, oldest first.
    func records(after sequence: Int) -> [Record] {
        state.withLockedValue { state in state.records.filter { $0.sequence > sequence } }
    }

    private func record(_ request: DoubleRequest, account: String?, status: Int, at now: MockInstant) {
        state.withLockedValue { state in
            state.last += 1
            if state.records.count >= Self.mostRecords { state.records.removeFirst(Self.mostRecords / 2) }
            state.records.append(
                Record(
                    sequence: state.last, at: now.milliseconds, account: account, path: request.path, status: status))
        }
    }
}
