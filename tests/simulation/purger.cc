#include "tests/simulation/purger.h"

#include <fmt/format.h>

namespace mr::sim {

using std::chrono::seconds;

namespace {
constexpr Duration kAnswerLimit = seconds(90);
constexpr std::int64_t kWatermark = -1;

/// The partition is not served for now, or the log cannot say where it starts.
bool honest(Errc error) {
  switch (error) {
    case Errc::not_leader:
    case Errc::disk_failed:
    case Errc::disk_full:
    case Errc::resource_exhausted:
    case Errc::shutting_down:
    case Errc::cancelled:
      return true;
    default:
      return false;
  }
}
}  // namespace

Task<void> Purger::run() {
  while (!seat_.stage.stop_all && seat_.stage.ledger.ok()) {
    if (!co_await pause(seat_, Millis(300))) co_return;
    co_await round();
  }
}

Task<void> Purger::round() {
  Ledger& ledger = seat_.stage.ledger;
  Ledger::PartitionName name{partition_.topic, partition_.partition.v};
  const auto promised = static_cast<std::uint64_t>(ledger.floor(name));
  auto before = static_cast<std::int64_t>(seat_.env.rng.below(promised + 1));
  const std::uint64_t kind = seat_.env.rng.below(8);
  const bool beyond = kind == 0;
  if (beyond) before += 1'000'000;
  if (kind == 1) before = kWatermark;
  std::shared_ptr<const BrokerNode::Deletion> asked = node_.delete_records(partition_, Offset{before});
  if (!asked) co_return;
  if (!beyond) ledger.deletion_asked(name, before);
  const TimePoint limit = seat_.env.now() + kAnswerLimit;
  while (!asked->answer && !asked->lost()) {
    if (seat_.env.now() > limit) {
      ledger.violation(seat_.name + ": no answer to a deletion of records");
      co_return;
    }
    if (!co_await pause(seat_, Millis(2))) co_return;
  }
  if (asked->answer) judge(before, beyond, *asked->answer);
}

void Purger::judge(std::int64_t before, bool beyond, const Result<Offset>& answer) {
  Ledger& ledger = seat_.stage.ledger;
  if (answer.ok() && !beyond) {
    seat_.stage.hit("client.delete_records");
    ledger.deletion_answered({partition_.topic, partition_.partition.v}, before, answer->v);
    return;
  }
  const bool refused = !answer.ok() && answer.code() == Errc::offset_out_of_range;
  if (beyond && refused) {
    seat_.stage.hit("client.delete_records_beyond_watermark");
  } else if (!answer.ok() && honest(answer.code())) {
    seat_.stage.hit("client.delete_records_error");
  } else {
    ledger.violation(fmt::format("{}: deletion of records up to {} says {}", seat_.name, before,
                                 answer.ok() ? std::to_string(answer->v) : answer.error().message()));
  }
}

}  // namespace mr::sim
