/// When no account of a pool is left: a new one, or a clear error.
extension PoolDesk {
    /// Whether it is worth looking again, once for a request.
    func acquire(_ search: inout Search, _ settings: PoolSettings) async -> Bool {
        let (pool, dimension) = (settings.name, search.request.dimension)
        guard !search.hasAcquired, let acquisitions, let limits = settings.acquisition,
            // Those that this request alone does not want, that are busy, or whose provider pauses are not spent.
            board.look(pool, { view, now in view.isSpent(dimension: dimension, now: now) }) == true
        else { return false }
        search.hasAcquired = true
        let board = board
        let result = await acquisitions.wait(
            for: pool, dimension: dimension, limits: limits, patience: settings.acquisitionWait,
            isThere: {
                try? await board.ready(pool)
                return board.look(pool) { view, now in view.hasAvailable(dimension: dimension, now: now) } ?? false
            },
            arrived: { [generation = Generation(1)] account in
                board.accountChanged(AccountChange(account: account, generation: generation, outcome: .added))
            })
        search.acquisition = result
        guard result == .worthALook else { return false }
        search.renew(now: time.monotonic())
        return true
    }

    func exhausted(_ search: Search) -> PoolFailure {
        let request = search.request
        let now = time.wall()
        var message = "no account of pool \(request.pool) is available"
        var nextAt = search.replaceableAt
        var isFull = search.isFull
        if let (obstacles, earliest, hasFull) = board.look(
            request.pool,
            { view, now in
                (
                    view.obstacles(request, busy: search.busy, now: now),
                    view.earliest(dimension: request.dimension, now: now),
                    view.hasFull(request, now: now)
                )
            })
        {
            if !obstacles.isEmpty { message += ": \(obstacles)" }
            nextAt = [nextAt, earliest].compactMap { $0 }.min()
            isFull = isFull || hasFull
        }
        if let trouble = search.trouble {
            message += "; \(trouble.message)"
            // The accounts are not to blame: another moment, or another instance, may do.
            if trouble.poolFault == .instance, nextAt == nil, search.acquisition == nil {
                return PoolFailure(.storeUnavailable, message, retryAfter: .seconds(1))
            }
        }
        var isAcquiring = false
        switch search.acquisition {
        case .underWay?:
            isAcquiring = true
            message += "; a new one is being acquired"
        case .refused(let until, let reason)?:
            message += "; no new one is acquired: \(reason)"
            if let until { nextAt = min(nextAt ?? until, until) }
        case .worthALook?, nil: break
        }
        let wait: Duration =
            if isAcquiring {
                .seconds(5)
            } else if isFull {
                .seconds(1)
            } else {
                nextAt.map { max($0 - now, .seconds(1)) } ?? Self.unknownWait
            }
        return PoolFailure(
            .exhausted, message, nextAt: nextAt,
            retryAfter: spread(nextAt.map { min(wait, max($0 - now, .seconds(1))) } ?? wait),
            isAcquiring: isAcquiring)
    }

    /// A little later, each another time: those who are told the same must not all come back at once.
    private func spread(_ wait: Duration) -> Duration {
        guard wait > .seconds(1) else { return wait }
        let most = min(wait / 10, .seconds(5)).wholeMilliseconds
        return wait + .milliseconds(Int64(draw() % UInt64(most + 1)))
    }
}
