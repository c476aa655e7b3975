#if os(Linux)
    import Foundation
    import RefreshCore
    import Testing

    @testable import Gateway

    /// What is kept for a call whose answer is a stream that lasts.
    @Suite struct OpenStreamTests {
        /// The files of the directory that this process has open, those without a name included.
        private static func open(in directory: String) -> Int {
            let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
            return descriptors.count { descriptor in
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
                return target?.hasPrefix(directory + "/") == true
            }
        }

        @Test func theRequestsBodyIsNotKeptWhileTheAnswerComes() async throws {
            let directory = FileManager.default.temporaryDirectory.path + "/spill-\(UInt64.random(in: .min ... .max))"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            var route = GatewayRoute.to()
            route.replay.memory = 10
            let counts = Box<[Int]>([])
            let upstream = Box<FakeUpstream?>(nil)
            let house = House(route, spillDirectory: directory) { _ in
                counts.change { $0.append(Self.open(in: directory)) }
                return FakeAnswer(200, "1", "2") {
                    // What the fake has seen holds the body.
                    upstream.current?.seen.change { $0 = [] }
                    counts.change { $0.append(Self.open(in: directory)) }
                }
            }
            upstream.change { $0 = house.upstream }
            let got = try await house.serve(
                FakeCaller("POST", body: [String(repeating: "x", count: 100), String(repeating: "y", count: 100)]))
            #expect(got.text == "12")
            #expect(counts.current == [1, 0, 0])
        }
    }
#endif
