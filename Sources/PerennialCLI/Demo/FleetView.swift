#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The answer to `GET /v1/instances`, as far as the demo looks at it.
struct FleetView: Decodable, Sendable, Equatable {
    struct Instance: Decodable, Sendable, Equatable {
        var pid: Int32
        var leader: Bool
        var refreshes: Int
    }

    var instances: [Instance]

    init(instances: [Instance]) {
        self.instances = instances
    }

    init?(_ body: [UInt8]) {
        guard let view = try? JSONDecoder().decode(FleetView.self, from: Data(body)) else { return nil }
        self = view
    }

    /// What an instance says of itself.
    func instance(pid: Int32) -> Instance? { instances.first { $0.pid == pid } }
}

/// Who has been the leader, as the instances told.
struct LeaderHistory: Sendable, Equatable {
    /// Nil before anybody was.
    private(set) var leader: Int?
    /// How often another instance than before was seen to lead.
    private(set) var changes = 0

    /// - Parameter claiming: the numbers of the instances that say of themselves that they lead. Their announcements lag a
    ///   little, so around a change there can be none, or two.
    mutating func observe(claiming: [Int]) {
        if let leader, claiming.contains(leader) { return }
        guard let next = claiming.first else { return }
        if leader != nil { changes += 1 }
        leader = next
    }
}
