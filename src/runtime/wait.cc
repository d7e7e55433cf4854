#include "runtime/wait.h"

namespace mr {

bool Waiter::arm(std::coroutine_handle<> self, const TaskContext& context) {
  if (outcome_) return false;
  if (cancellable_ && context.cancel != nullptr) {
    if (context.cancel->cancelled()) {
      outcome_.emplace(Errc::cancelled);
      abandoned();
      return false;
    }
    context.cancel->link(*this);
  }
  handle_ = self;
  executor_ = context.executor;
  if (deadline_ != kForever) {
    timer_ = executor_->add_timer(deadline_, [this] {
      timer_ = TimerId{};
      abandoned();
      finish(Errc::timed_out);
    });
  }
  return true;
}

void Waiter::disarm() {
  unlink();
  if (timer_.v != 0) executor_->cancel_timer(std::exchange(timer_, TimerId{}));
}

void Waiter::finish(Result<void> outcome) {
  if (outcome_) return;
  outcome_.emplace(std::move(outcome));
  disarm();
  if (handle_) executor_->schedule(std::exchange(handle_, nullptr));
}

void Waiter::on_cancel() {
  abandoned();
  finish(Errc::cancelled);
}

void Event::Wait::join() {
  if (joined_) return;
  joined_ = true;
  previous_ = event_->last_;
  (event_->last_ ? event_->last_->next_ : event_->first_) = this;
  event_->last_ = this;
}

void Event::Wait::leave() {
  if (!joined_) return;
  joined_ = false;
  (previous_ ? previous_->next_ : event_->first_) = next_;
  (next_ ? next_->previous_ : event_->last_) = previous_;
  previous_ = next_ = nullptr;
}

void Event::notify_all() {
  while (first_ != nullptr) {
    Wait* wait = first_;
    wait->leave();
    wait->finish({});
  }
}

Event::~Event() {
  while (first_ != nullptr) {
    Wait* wait = first_;
    wait->leave();
    wait->finish(Errc::shutting_down);
  }
}

}  // namespace mr
