// A telephone on SIP.js without a face; bundled by the test, driven through `globalThis.sipjs`.

import { Inviter, Registerer, RegistererState, SessionState, UserAgent } from 'sip.js';

let agent = null;
let session = null;
/** The second call, to whom an attended transfer leads. */
let consulted = null;

const AUDIO = { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } };

/** Answers at once. */
function answer(invitation) {
  session = invitation;
  invitation.accept(AUDIO);
}

globalThis.sipjs = {
  /** Connects and registers; answers calls from then on. Resolves once the registrar has said 200. */
  async register({ server, user, password, domain }) {
    agent = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${domain}`),
      transportOptions: { server },
      authorizationUsername: user,
      authorizationPassword: password,
      sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: 500 },
      delegate: { onInvite: answer },
    });
    await agent.start();
    const registerer = new Registerer(agent);
    const registered = new Promise((resolve, reject) => {
      registerer.stateChange.addListener((state) => {
        if (state === RegistererState.Registered) resolve();
        if (state === RegistererState.Terminated) reject(new Error('registration ended'));
      });
    });
    await registerer.register({
      requestDelegate: {
        onReject: ({ message }) => console.error(`REGISTER: ${message.statusCode}`),
      },
    });
    await registered;
  },

  async call(destination) {
    session = new Inviter(agent, UserAgent.makeURI(destination), AUDIO);
    await session.invite();
  },

  state: () => session?.state ?? SessionState.Initial,

  /** Sends a digit by INFO, as its SessionManager does; resolves with the status of the answer. */
  press: (signal, duration) =>
    new Promise((resolve, reject) => {
      const body = {
        contentDisposition: 'render',
        contentType: 'application/dtmf-relay',
        content: `Signal=${signal}\r\nDuration=${duration}`,
      };
      const answered = ({ message }) => resolve(message.statusCode);
      const requestDelegate = { onAccept: answered, onReject: answered };
      session.info({ requestDelegate, requestOptions: { body } }).catch(reject);
    }),

  /** Takes the microphone away: not even silence is sent any more. */
  async mute() {
    const senders = session.sessionDescriptionHandler.peerConnection.getSenders();
    await Promise.all(senders.map((sender) => sender.replaceTrack(null)));
  },

  /**
   * Transfers the other side to an address; resolves with the status lines that it is told of, the
   * last of which is final.
   */
  refer: (destination) => refer(UserAgent.makeURI(destination)),

  /** Calls somebody else beside the first call; resolves once that is answered. */
  async consult(destination) {
    consulted = new Inviter(agent, UserAgent.makeURI(destination), AUDIO);
    const established = new Promise((resolve) => {
      consulted.stateChange.addListener((state) => {
        if (state === SessionState.Established) resolve();
      });
    });
    await consulted.invite();
    await established;
  },

  /** Transfers the other side of the first call to that of the second (RFC 5589 section 7). */
  referToConsulted: () => refer(consulted),

  bye: () => session.bye(),
};

const refer = (target) =>
  new Promise((resolve, reject) => {
    const told = [];
    const onNotify = async (notification) => {
      await notification.accept();
      told.push(notification.request.body.split('\r\n')[0]);
      if (!/^SIP\/2\.0 1/.test(told.at(-1))) resolve(told);
    };
    const onReject = ({ message }) => reject(new Error(`REFER: ${message.statusCode}`));
    session.refer(target, { onNotify, requestDelegate: { onReject } }).catch(reject);
  });
