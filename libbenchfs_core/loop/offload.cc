// The helper thread for blocking calls: a queue in, a list of finished calls out, and a wake-up of the
// loop's sleep.
#include "loop/offload.hpp"

namespace benchfs {

Offload::Offload(Loop& loop) : loop_(loop) {
  // A source without a descriptor cannot fail to be added.
  BFS_ASSERT(loop_.add_source(*this).has_value());
  thread_ = std::thread([this] { serve(); });
}

Offload::~Offload() {
  BFS_ASSERT(in_flight_ == 0);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
  loop_.remove_source(*this);
}

Offload::Call Offload::run(std::function<void()> work) { return Call(*this, std::move(work)); }

void Offload::Call::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  ++offload_.in_flight_;
  {
    const std::lock_guard lock(offload_.mutex_);
    offload_.queue_.push_back(this);
  }
  offload_.work_.notify_one();
}

void Offload::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Call* call = queue_.front();
    queue_.pop_front();
    lock.unlock();
    call->work_();
    lock.lock();
    finished_.push_back(call);
    loop_.wake();
  }
}

bool Offload::poll() {
  if (in_flight_ == 0) return false;
  std::vector<Call*> finished;
  {
    const std::lock_guard lock(mutex_);
    finished.swap(finished_);
  }
  for (Call* call : finished) loop_.post(call->waiter_);
  in_flight_ -= finished.size();
  return !finished.empty();
}

bool Offload::prepare_sleep() {
  if (in_flight_ == 0) return true;
  const std::lock_guard lock(mutex_);
  return finished_.empty();
}

}  // namespace benchfs
