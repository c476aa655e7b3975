/// What is to become of one optional field of an account.
public enum FieldChange<Value: Sendable & Hashable>: Sendable, Hashable {
    case keep
    case remove
    case set(Value)

    /// The field after the change.
    public func applied(to old: Value?) -> Value? {
        switch self {
        case .keep: old
        case .remove: nil
        case .set(let value): value
        }
    }

    public var isKeep: Bool { self == .keep }
}
