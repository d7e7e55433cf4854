// `millrace bench produce`: how much a broker takes, and how long an answer takes from when a record was meant to be
// sent.
#include "cli/bench_sender.h"
#include "cli/do.h"

namespace mr::cli {

namespace {

Task<Result<int>> produce(Session& session, BenchLoad load) {
  MR_CO_TRY_VOID(check_load(load));
  MR_CO_TRY(client::TopicInfo topic, co_await bench_topic(session, load.topic, load.partitions));
  Meter meter(session, load.warm_up_seconds, load.progress);
  LoadSender sender(session, load, static_cast<std::int32_t>(topic.partitions.size()), meter, {});
  Scope show(session.env.executor);
  show.spawn("bench line", Meter::show(meter));
  Result<void> outcome = co_await sender.run();
  co_await show.stop();
  co_await sender.close();
  if (!outcome.ok()) co_return outcome.error();
  co_return meter.finish({.work = "produce",
                          .line = sender.line(),
                          .shape = sender.shape(),
                          .interrupted = sender.interrupted(),
                          .owed = sender.owed()});
}

}  // namespace

int run(const Common& common, const BenchProduce& command) {
  return with_cluster_until_signal(common, [&](Session& session) { return produce(session, command.load); });
}

}  // namespace mr::cli
