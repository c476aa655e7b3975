import RefreshCore

/// Nanoseconds of simulated time since the run began: the time that no clock of the simulated world can read.
typealias TrueTime = Int64

/// Something that happens at one instant of a simulated run.
struct SimulatedEvent {
    var at: TrueTime
    /// Order of scheduling: ties are broken by it, so that a run is the same every time.
    var serial: Int
    /// The process in which it happens, and which of its lives; nil for the world outside.
    var process: SimulatedProcess?
    var life = 0
    var action: () -> Void
}

/// Events in the order of their times: a binary heap.
struct EventQueue {
    private var heap: [SimulatedEvent] = []
    private var serial = 0

    var isEmpty: Bool { heap.isEmpty }
    var nextTime: TrueTime? { heap.first?.at }

    mutating func add(at time: TrueTime, process: SimulatedProcess?, life: Int, _ action: @escaping () -> Void) {
        serial += 1
        heap.append(SimulatedEvent(at: time, serial: serial, process: process, life: life, action: action))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard isBefore(child, parent) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func next() -> SimulatedEvent? {
        guard !heap.isEmpty else { return nil }
        heap.swapAt(0, heap.count - 1)
        let event = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            let left = 2 * parent + 1
            if left < heap.count, isBefore(left, least) { least = left }
            if left + 1 < heap.count, isBefore(left + 1, least) { least = left + 1 }
            if least == parent { return event }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ one: Int, _ other: Int) -> Bool {
        (heap[one].at, heap[one].serial) < (heap[other].at, heap[other].serial)
    }
}

/// Shorthands for simulated time.
extension TrueTime {
    static func milliseconds(_ count: Int64) -> TrueTime { count * 1_000_000 }
    static func seconds(_ count: Int64) -> TrueTime { count * 1_000_000_000 }

    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}

extension SplitMix64 {
    /// True once in `times`; never for zero.
    mutating func oneIn(_ times: Int) -> Bool { times > 0 && next() % UInt64(times) == 0 }

    mutating func pick(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[Int(next() % UInt64(elements.count))] }
}
