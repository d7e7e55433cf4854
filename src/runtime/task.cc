#include "runtime/task.h"

namespace mr {

void CancelHook::unlink() {
  if (owner_ == nullptr) return;
  (previous_ ? previous_->next_ : owner_->first_) = next_;
  (next_ ? next_->previous_ : owner_->last_) = previous_;
  owner_ = nullptr;
  previous_ = next_ = nullptr;
}

void CancelState::link(CancelHook& hook) {
  MR_CHECK(hook.owner_ == nullptr);
  hook.owner_ = this;
  hook.previous_ = last_;
  (last_ ? last_->next_ : first_) = &hook;
  last_ = &hook;
}

void CancelState::cancel() {
  cancelled_ = true;
  while (first_ != nullptr) {
    CancelHook* hook = first_;
    hook->unlink();
    hook->on_cancel();
  }
}

}  // namespace mr
