/// Which node owns which slot, as one node of the Cluster has told it (`CLUSTER SLOTS`).
struct SlotMap: Sendable, Equatable {
    private static let nobody = UInt16.max

    /// For each slot the place of its owner in ``primaries``.
    private var owners = [UInt16](repeating: nobody, count: HashSlot.count)
    private(set) var primaries: [RedisNodeID] = []
    private(set) var endpoints: [RedisNodeID: RedisEndpoint] = [:]
    private(set) var replicas: [RedisEndpoint] = []

    init() {}

    /// - Parameter host: Of the node that answered: a node may not know its own address.
    init?(reply: RESPValue, from host: String) {
        guard let ranges = reply.array else { return nil }
        for range in ranges {
            guard let parts = range.array, parts.count >= 3, let first = parts[0].int, let last = parts[1].int,
                0 <= first, first <= last, last < Int64(HashSlot.count),
                let owner = Self.endpoint(parts[2], host: host)
            else { return nil }
            for slot in Int(first)...Int(last) { assign(slot, to: owner) }
            for replica in parts.dropFirst(3) {
                if let endpoint = Self.endpoint(replica, host: host), !replicas.contains(endpoint) {
                    replicas.append(endpoint)
                }
            }
        }
    }

    private static func endpoint(_ node: RESPValue, host: String) -> RedisEndpoint? {
        guard let parts = node.array, parts.count >= 2, let port = parts[1].int, (1...65535).contains(port) else {
            return nil
        }
        return .tcp(host: known(parts[0].string, or: host), port: Int(port))
    }

    /// A node that does not know an address leaves it empty, or says `?`: then it is the address it was reached at.
    private static func known(_ name: String?, or host: String) -> String {
        guard let name, !name.isEmpty, name != "?" else { return host }
        return name
    }

    /// The slot and the address in `MOVED 3999 127.0.0.1:6381`, without its first word; likewise for ASK.
    static func redirect(_ message: String, from host: String) -> (slot: Int, endpoint: RedisEndpoint)? {
        let words = message.split(separator: " ")
        guard words.count >= 2, let slot = Int(words[0]), (0..<HashSlot.count).contains(slot),
            let colon = words[1].lastIndex(of: ":"), let port = Int(words[1][words[1].index(after: colon)...]),
            (1...65535).contains(port)
        else { return nil }
        var name = words[1][..<colon]
        if name.first == "[", name.last == "]" { name = name.dropFirst().dropLast() }
        return (slot, .tcp(host: known(String(name), or: host), port: port))
    }

    static func node(at endpoint: RedisEndpoint) -> RedisNodeID { RedisNodeID(endpoint.description) }

    mutating func assign(_ slot: Int, to endpoint: RedisEndpoint) {
        let node = Self.node(at: endpoint)
        if endpoints[node] == nil {
            endpoints[node] = endpoint
            primaries.append(node)
        }
        owners[slot] = UInt16(primaries.firstIndex(of: node) ?? 0)
    }

    func owner(ofSlot slot: Int) -> RedisNodeID? {
        let owner = owners[slot]
        return owner == Self.nobody ? nil : primaries[Int(owner)]
    }

    /// Slots that nobody serves.
    var orphanedSlots: Int { owners.count { $0 == Self.nobody } }

    /// The addresses of all nodes in it, primaries first.
    var allEndpoints: [RedisEndpoint] { primaries.compactMap { endpoints[$0] } + replicas }
}
