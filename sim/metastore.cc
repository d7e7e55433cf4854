#include "sim/metastore.h"

namespace mr::sim {

using namespace metastore;

class LateWatch final : public Watch {
 public:
  LateWatch(UnrulyMetastore& store, std::unique_ptr<Watch> inner) : store_(store), inner_(std::move(inner)) {}
  Task<Result<WatchBatch>> next(TimePoint deadline) override {
    Result<WatchBatch> batch = co_await inner_->next(deadline);
    const auto one_in = store_.faults_.late_watch_one_in;
    if (batch.ok() && one_in != 0 && store_.world_.rng().below(one_in) == 0)
      (void)co_await store_.some_delay(std::chrono::seconds(1));  // cancelled: what has come must not get lost
    co_return std::move(batch);
  }

 private:
  UnrulyMetastore& store_;
  std::unique_ptr<Watch> inner_;
};

Task<Result<void>> UnrulyMetastore::some_delay(Duration max) {
  co_return co_await sleep_until(world_.now() + world_.random_delay(max));
}

template <class T>
Task<Result<T>> UnrulyMetastore::write(Task<Result<T>> call) {
  MR_CO_TRY_VOID(co_await some_delay(faults_.delay_max));
  const bool lost = loses();
  const bool before = lost && world_.rng().below(2) == 0;
  lost_answers_ += lost;
  if (before) co_return Error(Errc::unknown_outcome, "simulated: lost on the way there");
  Result<T> result = co_await std::move(call);
  (void)co_await some_delay(faults_.delay_max);
  if (lost) co_return Error(Errc::unknown_outcome, "simulated: lost on the way back");
  co_return std::move(result);
}

Task<Result<RangeResult>> UnrulyMetastore::range(RangeRequest request) {
  MR_CO_TRY_VOID(co_await some_delay(faults_.delay_max));
  Result<RangeResult> result = co_await inner_.range(std::move(request));
  MR_CO_TRY_VOID(co_await some_delay(faults_.delay_max));
  co_return std::move(result);
}

Task<Result<TransactionResult>> UnrulyMetastore::transact(Transaction transaction) {
  return write(inner_.transact(std::move(transaction)));
}
Task<Result<Lease>> UnrulyMetastore::grant(Millis ttl) { return write(inner_.grant(ttl)); }
Task<Result<Millis>> UnrulyMetastore::keep_alive(LeaseId lease) { return write(inner_.keep_alive(lease)); }
Task<Result<void>> UnrulyMetastore::revoke(LeaseId lease) { return write(inner_.revoke(lease)); }
Task<Result<void>> UnrulyMetastore::compact(Revision revision) { return write(inner_.compact(revision)); }

Task<Result<std::unique_ptr<Watch>>> UnrulyMetastore::watch(WatchRequest request) {
  MR_CO_TRY(std::unique_ptr<Watch> inner, co_await inner_.watch(std::move(request)));
  std::unique_ptr<Watch> late = std::make_unique<LateWatch>(*this, std::move(inner));
  co_return std::move(late);
}

}  // namespace mr::sim
