// A bounded queue of work, and the threads that do it.
#include "workers.hpp"

namespace benchfs::tools {

Workers::Workers(unsigned threads) {
  threads_.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::add(Work work) {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return queue_.size() < kQueueMax; });
  queue_.push_back(std::move(work));
  work_.notify_one();
}

void Workers::add_first(Work work) {
  const std::lock_guard lock(mutex_);
  queue_.push_front(std::move(work));
  work_.notify_one();
}

void Workers::wait_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return queue_.empty() && busy_ == 0; });
}

void Workers::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return ending_ || !queue_.empty(); });
    // Work in hand may add more: that thread will come back for it.
    if (queue_.empty()) return;
    Work work = std::move(queue_.front());
    queue_.pop_front();
    ++busy_;
    lock.unlock();
    room_.notify_one();
    work();
    work = nullptr;
    lock.lock();
    if (--busy_ == 0 && queue_.empty()) idle_.notify_all();
  }
}

}  // namespace benchfs::tools
