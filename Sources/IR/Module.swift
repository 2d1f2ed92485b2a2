/// A program: functions at tensor level and the kernels they launch.
public struct Module: Sendable {
  public var functions: [Function]
  public var kernels: [Kernel]

  public init(functions: [Function] = [], kernels: [Kernel] = []) {
    self.functions = functions
    self.kernels = kernels
  }

  public func function(named name: String) -> Function? { functions.first { $0.name == name } }
  public func kernel(named name: String) -> Kernel? { kernels.first { $0.name == name } }
}
