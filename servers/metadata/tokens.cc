// Answers by token: in memory, and those that stand for a change in the store.
#include "metadata/tokens.hpp"

#include "base/clock.hpp"

namespace benchfs {

Status Tokens::start() {
  BFS_TRY(recorded, store_.applied());
  for (const Applied& applied : recorded) {
    answers_[applied.token] = {wire::PlaceEntry::kPlaced, applied.replaced, Errc::canceled};
  }
  return {};
}

const Tokens::Answer* Tokens::find(std::uint64_t token) const {
  const auto found = answers_.find(token);
  return found == answers_.end() ? nullptr : &found->second;
}

void Tokens::add(std::uint64_t token, const Answer& answer) {
  answers_[token] = answer;
  if (answer.outcome == wire::PlaceEntry::kPlaced) store_.put_applied({token, answer.replaced});
}

void Tokens::forget(std::uint64_t token) {
  const std::int64_t now = now_ns();
  while (!forgotten_.empty() && forgotten_.front().since_ns + remembered_ns_ < now) {
    answers_.erase(forgotten_.front().token);
    forgotten_.pop_front();
  }
  Answer& answer = answers_[token];
  store_.remove_applied(token);  // again, if that was not written the last time
  if (answer.outcome == wire::PlaceEntry::kRefused && answer.reason == Errc::canceled) return;
  answer = {wire::PlaceEntry::kRefused, {}, Errc::canceled};
  forgotten_.push_back({token, now});
}

}  // namespace benchfs
