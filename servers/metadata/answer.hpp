// Replies of message handlers, of metadata/ and of what is built on it.
#pragma once
#include "net/service.hpp"
#include "wire/messages.hpp"

namespace benchfs {

template <wire::Message M>
Task<void> answer(Incoming& incoming, const Result<typename M::Reply>& result) {
  return result ? incoming.reply<M>(*result) : incoming.fail(result.error().code);
}

template <wire::Message M>
Task<void> answer_empty(Incoming& incoming, const Status& result) {
  return result ? incoming.reply<M>(wire::Empty{}) : incoming.fail(result.error().code);
}

}  // namespace benchfs
