// Handlers of the messages of renames and links: unpack, call, answer. Names stay in the message
// until then.
#include "metadata/moves_service.hpp"

#include "metadata/answer.hpp"

namespace benchfs {

void MovesService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::Rename>(*this, &MovesService::rename);
  dispatcher.add<wire::Link>(*this, &MovesService::link);
  dispatcher.add<wire::PlaceEntry>(*this, &MovesService::place_entry);
  dispatcher.add<wire::DropLink>(*this, &MovesService::drop_link);
  dispatcher.add<wire::ForgetToken>(*this, &MovesService::forget_token);
  dispatcher.add<wire::MoveGate>(*this, &MovesService::move_gate);
}

Task<void> MovesService::rename(Incoming incoming) {
  const auto request = incoming.body<wire::Rename>();
  const std::string_view names = incoming.name();
  if (request.name_bytes > names.size()) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  auto task =
      moves_.rename(request, names.substr(0, request.name_bytes), names.substr(request.name_bytes));
  const auto result = co_await task;
  co_await answer_empty<wire::Rename>(incoming, result);
}

Task<void> MovesService::link(Incoming incoming) {
  const auto request = incoming.body<wire::Link>();
  auto task = moves_.link(request, incoming.name());
  const auto result = co_await task;
  co_await answer<wire::Link>(incoming, result);
}

Task<void> MovesService::place_entry(Incoming incoming) {
  const auto request = incoming.body<wire::PlaceEntry>();
  auto task = moves_.place(request, incoming.name());
  const auto result = co_await task;
  co_await answer<wire::PlaceEntry>(incoming, result);
}

Task<void> MovesService::drop_link(Incoming incoming) {
  const auto request = incoming.body<wire::DropLink>();
  auto task = links_.drop(request.inode, request.token);
  const auto result = co_await task;
  co_await answer_empty<wire::DropLink>(incoming, result);
}

Task<void> MovesService::forget_token(Incoming incoming) {
  tokens_.forget(incoming.body<wire::ForgetToken>().token);
  auto writing = store_.committed();
  const auto written = co_await writing;
  co_await answer_empty<wire::ForgetToken>(incoming, written);
}

Task<void> MovesService::move_gate(Incoming incoming) {
  using Message = wire::MoveGate;
  const auto request = incoming.body<Message>();
  Status done;
  if (request.operation == Message::kBegin) {
    auto beginning = gate_.begin(request.token, request.moves);
    done = co_await beginning;
  } else if (request.operation == Message::kEnd) {
    auto ending = gate_.end(request.token);
    done = co_await ending;
  } else if (request.operation != Message::kRead) {
    done = fail(Errc::bad_message);
  }
  Result<Message::Reply> reply = Message::Reply{request.moves};
  if (!done) {
    reply = std::unexpected(done.error());
  } else if (request.operation == Message::kRead) {
    const Result<std::uint64_t> moves = gate_.read();
    if (moves) {
      reply = Message::Reply{*moves};
    } else {
      reply = std::unexpected(moves.error());
    }
  }
  co_await answer<Message>(incoming, reply);
}

}  // namespace benchfs
