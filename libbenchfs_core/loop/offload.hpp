// One helper thread for calls that block and have no asynchronous form (RocksDB's WAL sync, unlink of a
// large file): the loop goes on while they run. Not for data: that goes through the ring.
#pragma once
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "loop/loop.hpp"

namespace benchfs {

class Offload final : public Source {
 public:
  explicit Offload(Loop& loop);
  ~Offload() override;
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;

  class Call;
  /// Runs `work` on the helper thread, in order of the calls; suspends until it has returned.
  Call run(std::function<void()> work);

  bool poll() override;
  bool prepare_sleep() override;
  int descriptor() const override { return -1; }  // the thread calls Loop::wake()

 private:
  friend class Call;
  void serve();

  Loop& loop_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Call*> queue_;
  std::vector<Call*> finished_;
  std::size_t in_flight_ = 0;  ///< seen by the loop's thread alone
  bool stopping_ = false;
  std::thread thread_;
};

class Offload::Call {
 public:
  Call(Offload& offload, std::function<void()> work) : offload_(offload), work_(std::move(work)) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter);
  void await_resume() const noexcept {}

 private:
  friend class Offload;
  Offload& offload_;
  std::function<void()> work_;
  std::coroutine_handle<> waiter_;
};

}  // namespace benchfs
