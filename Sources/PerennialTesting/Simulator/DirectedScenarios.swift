import RefreshCore

// The cases, each arranged by hand. Where a case says "at any step", each seed of the series takes another step.
extension DirectedScenario {
    public static let all: [DirectedScenario] = [
        crashAtEveryStep, replyLost, pausedBeforeSending, pausedDuringExchange, redisAwayAfterAnswer, clockJumps,
        answerDroppedNoGrace, answerDroppedGrace, unreadableAnswer, badGatewayAfterRotating, refusedLoser,
        reauthorizationWins, removalIsFinal, editLands, twoLeaders, throttle100000, newerIntent,
    ]

    /// 1
    static let crashAtEveryStep = series(
        "crash-everywhere", "an instance is killed at each step of a refresh, one run for each", seeds: 60
    ) { plan, seed in
        plan.rotation = .grace(.seconds(300))
        return SimulationScript(
            arrange: { world in
                world.hooks.step = { world, process, step in
                    if step == seed { world.restartLater(process, powerCut: seed % 2 == 0) }
                }
            }, verify: livesOn)
    }

    /// 2
    static let replyLost = series(
        "reply-lost", "the reply to every script can be lost and the script repeated: one effect", seeds: 60
    ) { plan, _ in
        plan.faults = [.replyLost, .executedTwice]
        plan.odds = 4
        return SimulationScript(allowsChance: true, arrange: { _ in })
    }

    /// 3
    static let pausedBeforeSending = series(
        "paused-before-sending", "a holder that is stopped past its lock before it sends sends nothing", seeds: 20
    ) { _, seed in
        SimulationScript(
            arrange: { world in
                world.hooks.granted = { world, process in
                    // Stopped between the reply of BEGIN and the sending.
                    world.pause(process, for: .seconds(Int64(31 + seed)))
                }
            }, verify: Self.livesOn)
    }

    /// 4
    static let pausedDuringExchange = series(
        "paused-during-exchange", "a holder that is stopped past its lock during the exchange still commits", seeds: 20
    ) { plan, seed in
        plan.lifetime = .seconds(1800)
        plan.chaos = .seconds(3600)
        plan.calm = .seconds(4000)
        return SimulationScript(
            arrange: { world in
                world.hooks.sent = { world, process in world.pause(process, for: .seconds(Int64(31 + seed))) }
            },
            verify: { world in
                Self.livesOn(world)
                if world.oracle.recoveries > 0 { world.oracle.fail(.singleUse, "the successor sent it again") }
            })
    }

    /// 8
    static let redisAwayAfterAnswer = series(
        "redis-away-after-answer", "Redis goes away after the 200: the journal keeps it, a later COMMIT stores it",
        seeds: 20
    ) { plan, seed in
        plan.lifetime = .seconds(1800)
        plan.chaos = .seconds(3600)
        plan.calm = .seconds(4000)
        return SimulationScript(
            arrange: { world in
                world.hooks.sent = { world, _ in world.restartRedis(after: .seconds(Int64(5 + 10 * seed))) }
            },
            verify: { world in
                Self.livesOn(world)
                if world.oracle.recoveries > 0 { world.oracle.fail(.singleUse, "it was sent a second time") }
            })
    }

    /// 9
    static let clockJumps = series(
        "clock-jumps", "the clocks of Redis and of the instances jump by an hour, between refreshes", seeds: 40
    ) { plan, seed in
        plan.calm = .seconds(9000)
        return SimulationScript(
            arrange: { world in
                for (index, process) in world.processes.enumerated() {
                    world.at(.seconds(200 + Int64(seed) + Int64(index))) { world.jumpClock(of: process) }
                }
                world.at(.seconds(60 + 7 * Int64(seed))) {
                    world.jumpRedisClock(seed % 2 == 0 ? 3_600_000 : -3_600_000)
                }
            }, verify: { _ in })
    }

    /// 10
    static let answerDroppedNoGrace = dropped("answer-dropped-no-grace", rotation: .singleUse, survives: false)
    static let answerDroppedGrace = dropped("answer-dropped-grace", rotation: .grace(.seconds(90)), survives: true)

    private static func dropped(
        _ name: String, rotation: RotationBehaviour, survives: Bool
    ) -> DirectedScenario {
        series(
            name,
            "an answer is lost on the wire; \(survives ? "the grace brings it back" : "one re-send, then it is said")",
            seeds: 20
        ) { plan, _ in
            plan.rotation = rotation
            return SimulationScript(
                arrange: { world in world.hooks.dropsFirstAnswer = true },
                verify: { world in
                    let state = world.redis.nodes[world.redis.primary].state
                    guard let account = state.account(world.accounts[0]) else { return }
                    if survives { Self.livesOn(world) }
                    if !survives, account.status == .active {
                        world.oracle.fail(.liveness, "\(account.id) is shown as active")
                    }
                    if world.oracle.recoveries != 1 {
                        world.oracle.fail(.singleUse, "\(world.oracle.recoveries) re-sends where one is due")
                    }
                })
        }
    }

    /// 11
    static let unreadableAnswer = series(
        "unreadable-answer", "a truncated 200, an unreadable 200, a 200 without refresh token", seeds: 30
    ) { plan, seed in
        plan.rotation = .grace(.seconds(90))
        return SimulationScript(
            arrange: { _ in }, verify: Self.livesOn,
            mood: { world, _ in
                guard world.oracle.spendCount == 1 else { return .rotate }
                return [.truncated, .unparseable, .omitRefreshToken][seed % 3]
            })
    }

    /// 12
    static let badGatewayAfterRotating = series(
        "502-after-rotating", "a 502 after the provider has rotated: no blind repetition", seeds: 20
    ) { plan, seed in
        plan.rotation = seed % 2 == 0 ? .grace(.seconds(90)) : .singleUse
        return SimulationScript(
            arrange: { _ in },
            verify: { world in
                if world.oracle.recoveries > 1 { world.oracle.fail(.singleUse, "sent again more than once") }
            },
            mood: { world, account in
                guard world.oracle.spendCount == 1 else { return .rotate }
                world.oracle.excuse(account, "an answer of the provider said nothing")
                return .badGateway(rotates: true)
            })
    }

    /// 13 and 14
    static let refusedLoser = series(
        "refused-loser", "a refusal comes back after the generation has moved on: the account lives", seeds: 20
    ) { _, _ in
        SimulationScript(
            arrange: { world in
                world.hooks.sent = { world, process in
                    world.provider.revoke(world.accounts[0])
                    world.reauthorize(world.accounts[0], through: process)
                }
            }, verify: Self.livesOn)
    }

    static let reauthorizationWins = series(
        "re-authorisation-wins", "a log-in during a refresh wins; the late answer is an orphan", seeds: 20
    ) { _, _ in
        SimulationScript(
            arrange: { world in
                world.hooks.sent = { world, process in world.reauthorize(world.accounts[0], through: process) }
            },
            verify: { world in
                Self.livesOn(world)
                let orphans = world.redis.nodes[world.redis.primary].state.orphans[world.accounts[0]]?.count ?? 0
                if orphans != 1 { world.oracle.fail(.noLoss, "\(orphans) orphans instead of one") }
            })
    }

    /// 15
    static let removalIsFinal = series(
        "removal-and-pause", "a removal during a refresh stays one; a pause stays one", seeds: 20
    ) { _, seed in
        SimulationScript(
            arrange: { world in
                world.hooks.sent = { world, process in
                    let account = world.accounts[0]
                    if seed % 2 == 0 {
                        process.call("REMOVE") { world, node in
                            world.remove(account, on: node)
                        } _: { _ in
                        }
                    } else {
                        world.edit(account, AccountEdit(enabled: false), through: process)
                        world.at(world.now + .seconds(120)) {
                            let state = world.redis.nodes[world.redis.primary].state
                            if state.account(account)?.enabled != false {
                                world.oracle.fail(.liveness, "the pause was undone by a COMMIT")
                            }
                        }
                    }
                }
            },
            verify: { world in
                let state = world.redis.nodes[world.redis.primary].state
                if seed % 2 == 0, state.account(world.accounts[0]) != nil {
                    world.oracle.fail(.liveness, "the removed account is back")
                }
            })
    }

    /// 16
    static let editLands = series(
        "edit-during-refresh", "a change of the name during a refresh: both land", seeds: 20
    ) { _, _ in
        SimulationScript(
            arrange: { world in
                world.hooks.sent = { world, process in
                    world.edit(world.accounts[0], AccountEdit(name: "renamed"), through: process)
                }
            },
            verify: { world in
                Self.livesOn(world)
                let account = world.redis.nodes[world.redis.primary].state.account(world.accounts[0])
                if account?.name != "renamed" { world.oracle.fail(.liveness, "the new name is lost") }
            })
    }

    /// 17
    static let twoLeaders = series(
        "two-leaders", "two leaders at once for an hour: work is done twice, nothing is spent twice", seeds: 10
    ) { plan, _ in
        plan.accounts = 4
        plan.lifetime = .seconds(300)
        plan.chaos = .seconds(3600)
        return SimulationScript(
            arrange: { world in
                // The lease vanishes every few seconds, so whoever asks gets one while the other still holds on.
                for second in stride(from: Int64(5), to: 3600, by: 2) {
                    world.at(.seconds(second)) { world.redis.nodes[world.redis.primary].state.lease = nil }
                }
            },
            verify: { world in
                Self.livesOn(world)
                if world.reigns < 100 { world.oracle.fail(.liveness, "only \(world.reigns) reigns: never two leaders") }
            })
    }

    /// 23
    static let newerIntent = series(
        "newer-intent", "an intent that a newer version has written is never touched", seeds: 10
    ) { _, _ in
        SimulationScript(
            arrange: { world in
                world.at(.seconds(10)) {
                    world.redis.nodes[world.redis.primary].state.records[world.accounts[0]]?.hasForeignIntent = true
                }
                // The newer version finishes what it began.
                world.at(.seconds(1190)) {
                    if world.oracle.spendCount > 0 {
                        world.oracle.fail(.singleUse, "a token was sent past a newer version's intent")
                    }
                    world.redis.nodes[world.redis.primary].state.records[world.accounts[0]]?.hasForeignIntent = false
                }
            }, verify: Self.livesOn)
    }

    /// Every account has a valid token and was refreshed.
    @Sendable static func livesOn(_ world: Simulation) {
        let state = world.redis.nodes[world.redis.primary].state
        for id in world.accounts {
            guard let account = state.account(id) else {
                world.oracle.fail(.liveness, "\(id) is gone")
                continue
            }
            if account.generation < Generation(3) || !account.isValid(at: world.serverWall) || account.status != .active
            {
                world.oracle.fail(
                    .liveness,
                    "\(id): \(account.status.rawValue) at generation \(account.generation), valid \(account.isValid(at: world.serverWall))"
                )
            }
        }
    }
}
