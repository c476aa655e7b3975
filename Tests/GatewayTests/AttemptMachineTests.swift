import Providers
import RefreshCore
import Testing

@testable import Gateway

@Suite struct AttemptMachineTests {
    private let a = account("a")
    private static let answers = APIErrorClass.allCases.map { ($0, true) } + [(.refresh, false)]

    @Test func aRefusedTokenIsReplacedOnceAndTheCallRepeatedOnce() {
        var machine = AttemptMachine(source: .account(a), tries: 9)
        #expect(machine.begin() == .take(.account(a, refused: nil)))
        #expect(machine.took(.account(a, Generation(4))) == .send)
        #expect(
            machine.answered(.refresh, canRepeat: true, inTime: true)
                == .init(.take(.account(a, refused: Generation(4)))))
        #expect(machine.took(.account(a, Generation(5))) == .send)
        // A new token that is refused as well is no matter of age.
        #expect(machine.answered(.refresh, canRepeat: true, inTime: true) == .init(.passOn))
        #expect(machine.log.description == "2;token_refused,token_refused")
    }

    @Test func aRefusalThatCannotBeRepeatedStillBringsANewToken() {
        var machine = AttemptMachine(source: .account(a), tries: 3)
        _ = machine.took(.account(a, Generation(4)))
        #expect(
            machine.answered(.refresh, canRepeat: false, inTime: true)
                == .init(.passOn, .refreshBehind(a, Generation(4))))
        #expect(machine.log.description == "1;token_refused,not_replayable")
    }

    @Test func theQuotaOfAFixedAccountIsTheCallersAffair() {
        var machine = AttemptMachine(source: .account(a), tries: 3)
        _ = machine.took(.account(a, Generation(4)))
        #expect(machine.answered(.quota, canRepeat: true, inTime: true) == .init(.passOn))
        #expect(machine.log.description == "1;quota")
    }

    @Test func anAccountThatHasHitItsQuotaIsNotPickedAgain() {
        let (p, b) = (pool("p"), account("b"))
        var machine = AttemptMachine(source: .pool(p), tries: 3)
        #expect(machine.begin() == .take(.pool(p, excluded: [], refused: [:], preferred: nil)))
        _ = machine.took(.account(a, Generation(1)))
        #expect(
            machine.answered(.quota, canRepeat: true, inTime: true)
                == .init(.take(.pool(p, excluded: [a], refused: [:], preferred: nil)), .pool(.quota)))
        _ = machine.took(.account(b, Generation(2)))
        // Its token died as well: refreshed, and preferred.
        #expect(
            machine.answered(.refresh, canRepeat: true, inTime: true)
                == .init(
                    .take(.pool(p, excluded: [a], refused: [b: Generation(2)], preferred: b)), .pool(.tokenRefused)))
        _ = machine.took(.account(b, Generation(3)))
        #expect(machine.answered(.none, canRepeat: true, inTime: true) == .init(.passOn))
        #expect(machine.log.description == "3;quota,token_refused")
    }

    @Test func aSecondRefusalOfAPoolsAccountIsNoReasonForAnotherRefresh() {
        let (p, b) = (pool("p"), account("b"))
        var machine = AttemptMachine(source: .pool(p), tries: 9)
        _ = machine.took(.account(a, Generation(1)))
        #expect(
            machine.answered(.refresh, canRepeat: true, inTime: true)
                == .init(
                    .take(.pool(p, excluded: [], refused: [a: Generation(1)], preferred: a)), .pool(.tokenRefused)))
        _ = machine.took(.account(a, Generation(2)))
        #expect(
            machine.answered(.refresh, canRepeat: true, inTime: true)
                == .init(.take(.pool(p, excluded: [a], refused: [a: Generation(2)], preferred: nil))))
        _ = machine.took(.account(b, Generation(7)))
        #expect(
            machine.answered(.refresh, canRepeat: true, inTime: true, canReplace: false)
                == .init(
                    .take(.pool(p, excluded: [a, b], refused: [a: Generation(2), b: Generation(7)], preferred: nil))))
        #expect(machine.log.description == "3;token_refused,token_refused,token_refused,replaced_lately")
    }

    @Test func whatReplacedARefusedTokenAMomentAgoIsNotReplaced() {
        var machine = AttemptMachine(source: .account(a), tries: 9)
        _ = machine.took(.account(a, Generation(5)))
        #expect(machine.answered(.refresh, canRepeat: true, inTime: true, canReplace: false) == .init(.passOn))
        #expect(machine.log.description == "1;token_refused,replaced_lately")
    }

    @Test func aTokenThatCannotBeSentIsFollowedByAnother() {
        let p = pool("p")
        var machine = AttemptMachine(source: .pool(p), tries: 3)
        _ = machine.took(.account(a, Generation(1)))
        #expect(
            machine.broke(.token, canRepeat: true, inTime: true)
                == .init(.take(.pool(p, excluded: [a], refused: [:], preferred: nil)), .pool(.failed)))
        #expect(machine.log.description == "1;token_unusable")
        var single = AttemptMachine(source: .account(a), tries: 3)
        _ = single.took(.account(a, Generation(1)))
        #expect(single.broke(.token, canRepeat: true, inTime: true) == .init(.fail))
    }

    @Test func whatTheCallerBringsIsNeverRepeated() {
        for meaning in APIErrorClass.allCases {
            for credential in [AttemptMachine.Credential.own, .fallback] {
                var machine = AttemptMachine(source: credential == .own ? nil : .account(a), tries: 5)
                _ = machine.took(credential)
                #expect(machine.answered(meaning, canRepeat: true, inTime: true) == .init(.passOn))
            }
        }
    }

    /// Every history of answers there is: each ends within its tries, none repeats what cannot be repeated, none picks an
    /// account again that was found spent, and a generation that was refused is not asked for again.
    @Test func everyHistoryEnds() {
        struct Walk {
            var machine: AttemptMachine
            var step: AttemptMachine.Step
            var sends = 0
            var spent: Set<AccountID> = []
            var generation: [AccountID: Int64] = [:]
        }
        let sources: [RouteSource?] = [nil, .account(a), .pool(pool("p"))]
        var ends = 0
        for source in sources {
            for tries in 1...4 {
                var open = [Walk(machine: AttemptMachine(source: source, tries: tries), step: .passOn)]
                open[0].step = open[0].machine.begin()
                while var walk = open.popLast() {
                    switch walk.step {
                    case .passOn, .fail:
                        ends += 1
                        #expect(walk.sends <= tries)
                        #expect(walk.machine.log.tries == walk.sends)
                    case .take(let demand):
                        let offers: [AttemptMachine.Credential]
                        switch demand {
                        case .own: offers = [.own]
                        case .account(let id, let refused):
                            let next = refused.map { $0.rawValue + 1 } ?? 1
                            offers = [.account(id, Generation(next)), .fallback]
                        case .pool(_, let excluded, let refused, _):
                            #expect(walk.spent.isSubset(of: excluded))
                            offers =
                                ["a", "b"].map { account($0) }.filter { !excluded.contains($0) }
                                .map { .account($0, Generation((refused[$0]?.rawValue ?? 0) + 1)) } + [.fallback]
                        }
                        for offer in offers {
                            var next = walk
                            next.step = next.machine.took(offer)
                            #expect(next.step == .send)
                            if case .account(let id, let generation) = offer {
                                #expect((next.generation[id] ?? 0) <= generation.rawValue)
                                next.generation[id] = generation.rawValue
                            }
                            open.append(next)
                        }
                    case .send:
                        walk.sends += 1
                        #expect(walk.sends <= tries)
                        for canRepeat in [true, false] {
                            for inTime in [true, false] {
                                for (meaning, canReplace) in Self.answers {
                                    var next = walk
                                    let decision = next.machine.answered(
                                        meaning, canRepeat: canRepeat, inTime: inTime, canReplace: canReplace)
                                    if case .pool(.tokenRefused)? = decision.report { #expect(canReplace) }
                                    if case .take = decision.step { #expect(canRepeat && inTime && meaning != .none) }
                                    if case .pool(.quota)? = decision.report,
                                        let id = walk.generation.max(by: { $0.value < $1.value })?.key,
                                        walk.generation.count == 1
                                    {
                                        next.spent.insert(id)
                                    }
                                    next.step = decision.step
                                    open.append(next)
                                }
                                for reason in [AttemptMachine.Break.proxy, .token, .upstream] {
                                    var next = walk
                                    let decision = next.machine.broke(reason, canRepeat: canRepeat, inTime: inTime)
                                    if case .take = decision.step {
                                        #expect(canRepeat && inTime && reason != .upstream)
                                    }
                                    #expect(decision.step != .passOn)
                                    next.step = decision.step
                                    open.append(next)
                                }
                            }
                        }
                    }
                }
            }
        }
        #expect(ends > 1000)
    }
}
