extension Orphan.Cause {
    /// What happened, for people.
    public var sentence: String {
        switch self {
        case .moved: "the account had got newer credentials before this answer could be stored"
        case .removed: "the account had been removed before this answer could be stored"
        case .replaced: "an orphan was restored in its place"
        }
    }
}

extension RestoreReply.Obstacle {
    /// What keeps the orphan from being restored, for people.
    public var sentence: String {
        switch self {
        case .held: "a refresh of the account is under way"
        case .open: "a refresh of the account began a moment ago and has not said how it ended"
        case .foreign: "an instance of a newer version has a refresh of the account under way"
        }
    }
}
