import RefreshCore

extension RedisLink {
    /// Does the same in several partitions at once: what goes to one node leaves in one write.
    ///
    /// - Returns: The results in the order of `partitions`.
    /// - Throws: The first error, after all have ended.
    func onEach<Result: Sendable>(
        _ partitions: some Collection<Int> & Sendable,
        _ work: @escaping @Sendable (Int) async throws(StoreError) -> Result
    ) async throws(StoreError) -> [Result] {
        var results: [Result] = []
        for result in await attemptEach(partitions, work) { results.append(try result.get()) }
        return results
    }

    /// As ``onEach(_:_:)``, with the failures among the results.
    func attemptEach<Value: Sendable>(
        _ partitions: some Collection<Int> & Sendable,
        _ work: @escaping @Sendable (Int) async throws(StoreError) -> Value
    ) async -> [Result<Value, StoreError>] {
        await Partitions.attemptEach(partitions, work)
    }
}

enum Partitions {
    static func attemptEach<Value: Sendable>(
        _ partitions: some Collection<Int> & Sendable,
        _ work: @escaping @Sendable (Int) async throws(StoreError) -> Value
    ) async -> [Result<Value, StoreError>] {
        @Sendable func attempt(_ partition: Int) async -> Result<Value, StoreError> {
            do throws(StoreError) { return .success(try await work(partition)) } catch { return .failure(error) }
        }
        if partitions.count == 1, let only = partitions.first { return [await attempt(only)] }
        return await withTaskGroup(of: (Int, Result<Value, StoreError>).self) { group in
            for (place, partition) in partitions.enumerated() {
                group.addTask { (place, await attempt(partition)) }
            }
            var results = [Result<Value, StoreError>?](repeating: nil, count: partitions.count)
            for await (place, result) in group { results[place] = result }
            return results.compactMap { $0 }
        }
    }
}
