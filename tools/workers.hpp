// Threads that take work from one queue, for commands that have many things in flight.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace benchfs::tools {

class Workers {
 public:
  using Work = std::function<void()>;
  explicit Workers(unsigned threads);
  /// Waits until all work is done.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  unsigned threads() const { return static_cast<unsigned>(threads_.size()); }
  /// Waits while the queue is full; not to be called by the work itself.
  void add(Work work);
  /// Before all other work, without waiting; also called by the work itself.
  void add_first(Work work);
  /// Waits until there is no work in the queue or in hand.
  void wait_idle();

 private:
  static constexpr std::size_t kQueueMax = 65536;
  void serve();

  std::mutex mutex_;
  std::condition_variable work_, room_, idle_;
  std::deque<Work> queue_;
  unsigned busy_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace benchfs::tools
