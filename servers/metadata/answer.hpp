// Replies of message handlers, of metadata/ and of what is built on it.
#pragma once
#include "net/service.hpp"
#include "wire/messages.hpp"

namespace benchfs {

template <wire::Message M>
Task<void> answer(Incoming& incoming, Result<typename M::Reply> result) {
  if (result) {
    co_await incoming.reply<M>(*result);
  } else {
    co_await incoming.fail(result.error().code);
  }
}

template <wire::Message M>
Task<void> answer_empty(Incoming& incoming, Status result) {
  if (result) {
    co_await incoming.reply<M>(wire::Empty{});
  } else {
    co_await incoming.fail(result.error().code);
  }
}

}  // namespace benchfs
