#include "broker/broker.h"

#include "base/log.h"

namespace mr::broker {

Broker::Broker(BrokerDeps deps)
    : shards_(deps.shards),
      settings_(std::move(deps.settings)),
      self_(BrokerId{settings_.config.node_id}),
      metadata_(deps.metadata),
      open_log_(std::move(deps.open_log)),
      cluster_(deps.metadata),
      journal_(deps.journal),
      inflating_("inflating", deps.inflating_bytes_max),
      all_failed_(std::move(deps.all_failed)) {
  auto started = std::make_shared<const config::BrokerSettings>(settings_);
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    per_shard_.push_back(std::make_unique<ShardState>(shards_.env(ShardId{s}), deps.read_sample_one_in));
    ShardState& shard = *per_shard_.back();
    shard.settings = started;
    if (const std::int64_t bytes = config().log_page_cache_bytes; bytes >= 0)
      shard.window = std::make_unique<storage::PageCacheWindow>(static_cast<std::uint64_t>(bytes) / shards_.count(),
                                                                [&shard] { shard.window_due.notify_all(); });
  }
  for (auto& data : deps.directories) {
    LogDirectory& directory = directories_.emplace_back();
    directory.path = data->path();
    directory.data = std::move(data);
    // On any thread, perhaps when this broker is about to go: only the bell is rung there.
    directory.data->files().on_failure([bell = directory_alarm_, &executor = shards_.env(ShardId{0}).executor] {
      executor.post([bell] { bell->notify_all(); });
    });
  }
  for (auto& shard : per_shard_) shard->gates.resize(directories_.size() + deps.unopened.size());
  for (UnopenedDirectory& unopened : deps.unopened) {
    LogDirectory& directory = directories_.emplace_back();
    directory.path = std::move(unopened.path);
    directory.offline = std::move(unopened.why);
  }
}

Broker::~Broker() { MR_CHECK(!started_); }

Task<void> Broker::publish(std::shared_ptr<const TopicTable> table) {
  for (std::uint32_t s = 0; s < shards_.count(); ++s)
    co_await shards_.call(ShardId{s}, [this, s, &table] { per_shard_[s]->topics = table; });
}

Task<Result<ProducerId>> Broker::next_producer_id() {
  // Blocks of a thousand from the metastore, so that ids stay unique over restarts (traps.md 94).
  constexpr std::int64_t kBlock = 1000;
  co_return co_await shards_.call(ShardId{0}, [this]() -> Task<Result<ProducerId>> {
    MR_CO_TRY_VOID(co_await producer_ids_.acquire(1));
    Result<ProducerId> answer = Errc::internal;
    if (next_producer_id_ == producer_ids_end_) {
      auto block = co_await cluster_.allocate_producer_ids(kBlock, producer_id_floor_);
      if (block.ok()) {
        next_producer_id_ = block->first;
        producer_ids_end_ = block->end;
      } else {
        answer = block.error();
      }
    }
    if (next_producer_id_ < producer_ids_end_) answer = ProducerId{next_producer_id_++};
    producer_ids_.release(1);
    co_return answer;
  });
}

/// A directory of Apache Kafka brings producers with ids that this metastore has not given out (design decision 3).
void Broker::keep_clear_of_producers(const storage::Log& log) {
  for (const storage::Log::ProducerInfo& producer : log.producers())
    producer_id_floor_ = std::max(producer_id_floor_, producer.id.v + 1);
}

Result<config::TopicConfig> Broker::topic_config(ShardId shard,
                                                 const std::map<std::string, std::string>& overrides) const {
  return config::TopicConfig::resolve(per_shard_[shard.v]->settings->config, overrides);
}

}  // namespace mr::broker
