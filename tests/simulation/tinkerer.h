#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/simulation/stage.h"

namespace mr::sim {

/// Changes a topic's settings and adds partitions to it while others write and read it, and looks at it between: what
/// was answered is there, whatever happened since; what was asked and not answered may be.
class Tinkerer {
 public:
  Tinkerer(ClientSeat seat, std::string topic) : seat_(std::move(seat)), topic_(std::move(topic)) {}
  Task<void> run();
  /// It asks for no change any more.
  bool ended() const { return ended_; }
  /// Looks until it has seen the topic; after the end of run(), in the same process.
  Task<void> look_once();
  bool looked() const { return looked_; }

 private:
  using Value = std::optional<std::string>;  ///< none: not set
  Task<Result<void>> round(Link& link);
  Task<Result<bool>> look(Link& link);
  Task<Result<void>> change(Link& link);
  Task<Result<void>> grow(Link& link);
  void judge(const std::string& name, const Value& seen);
  /// Whether what was asked has happened; an answer that nobody may give is a violation.
  bool told(const char* what, wire::KafkaError error);

  ClientSeat seat_;
  std::string topic_;
  std::map<std::string, std::set<Value>> possible_;  ///< by setting; those that nobody has touched are not set
  std::int32_t partitions_ = 1;                      ///< told
  std::int32_t partitions_asked_ = 1;                ///< at most
  bool ended_ = false;
  bool looked_ = false;
};

}  // namespace mr::sim
