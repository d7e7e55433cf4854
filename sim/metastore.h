#pragma once
#include <memory>

#include "metastore/metastore.h"
#include "sim/world.h"

namespace mr::sim {

/// How unruly a metastore is, within its contract.
struct MetastoreFaults {
  Duration delay_max = Millis(2);            ///< before and after each call
  std::uint64_t unknown_outcome_one_in = 0;  ///< writes whose answer is lost, half of them before they happened
  std::uint64_t late_watch_one_in = 0;       ///< watch batches that come up to a second late
};

/// Any metastore with delays and lost answers in front, drawn from the world's seed. `inner` must outlive this.
class UnrulyMetastore final : public metastore::Metastore {
 public:
  UnrulyMetastore(World& world, metastore::Metastore& inner, MetastoreFaults faults)
      : world_(world), inner_(inner), faults_(faults) {}
  void set_faults(const MetastoreFaults& faults) { faults_ = faults; }
  std::uint64_t lost_answers() const { return lost_answers_; }

  Task<Result<metastore::RangeResult>> range(metastore::RangeRequest request) override;
  Task<Result<metastore::TransactionResult>> transact(metastore::Transaction transaction) override;
  Task<Result<metastore::Lease>> grant(Millis ttl) override;
  Task<Result<Millis>> keep_alive(metastore::LeaseId lease) override;
  Task<Result<void>> revoke(metastore::LeaseId lease) override;
  Task<Result<std::unique_ptr<metastore::Watch>>> watch(metastore::WatchRequest request) override;
  Task<Result<void>> compact(metastore::Revision revision) override;

 private:
  friend class LateWatch;
  Task<Result<void>> some_delay(Duration max);
  bool loses() {
    return faults_.unknown_outcome_one_in != 0 && world_.rng().below(faults_.unknown_outcome_one_in) == 0;
  }
  template <class T>
  Task<Result<T>> write(Task<Result<T>> call);

  World& world_;
  metastore::Metastore& inner_;
  MetastoreFaults faults_;
  std::uint64_t lost_answers_ = 0;
};

}  // namespace mr::sim
