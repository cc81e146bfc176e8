// Calls to the server of an entry, which may have to be repeated. Private to client/.
#pragma once
#include <algorithm>
#include <span>
#include <string_view>

#include "base/clock.hpp"
#include "client/client.hpp"
#include "net/cluster_info.hpp"

namespace benchfs {

inline std::span<const std::byte> bytes_of(std::string_view name) {
  return std::as_bytes(std::span{name.data(), name.size()});
}

/// Pauses that grow, of random length: two that are in each other's way part.
class Backoff {
 public:
  std::int64_t next_ns() {
    const std::int64_t longest = longest_ns_;
    longest_ns_ = std::min(2 * longest_ns_, kLongestNs);
    return longest / 2 +
           static_cast<std::int64_t>(random_id() % static_cast<std::uint64_t>(longest / 2));
  }

 private:
  static constexpr std::int64_t kLongestNs = 50'000'000;
  std::int64_t longest_ns_ = 1'000'000;
};

template <wire::Message M>
Task<Result<Answer<M>>> Client::call_entry(ServerIndex server, typename M::Request request,
                                           std::string_view payload) {
  const std::int64_t give_up =
      coarse_now_ns() + static_cast<std::int64_t>(config_.deadline_ms) * 1'000'000;
  for (Backoff backoff;;) {
    const auto answer = co_await caller_->call<M>(server, request, bytes_of(payload));
    if (answer || answer.error().code != Errc::being_removed || coarse_now_ns() > give_up) {
      co_return answer;
    }
    auto pause = loop_->sleep_ns(backoff.next_ns());
    co_await pause;
  }
}

}  // namespace benchfs
