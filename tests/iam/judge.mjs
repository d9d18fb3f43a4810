// Judges a record of calls by @cloud-copilot/iam-simulate, which knows nothing of our own evaluator.
//
//     node judge.mjs CASES          (NODE_PATH names the folder with the package)
//
// CASES is what tests/iam/findings.py writes: a list of {caller, policies, boundaries, action,
// resource, context, allowed}. Prints each case that it decides otherwise, and exits with 1 if any.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NODE_PATH}/`);
const { runSimulation } = require('@cloud-copilot/iam-simulate');
const account = '123456789012';
const cases = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
let wrong = 0;

for (const one of cases) {
  const policies = Object.entries(one.policies).map(([name, policy]) => ({ name, policy }));
  const answer = await runSimulation({
    identityPolicies: policies,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    request: {
      action: one.action,
      resource: { resource: one.resource, accountId: account },
      principal: one.arn,
      contextVariables: one.context,
    },
  }, {});
  const result = answer.resultType === 'error'
    ? `error ${JSON.stringify(answer.errors)}`
    : answer.overallResult;
  if ((result === 'Allowed') !== one.allowed) {
    wrong += 1;
    console.log(`${result}: ${one.caller} ${one.action} ${one.resource} ${JSON.stringify(one.context)}`
      + ` (ours: ${one.allowed ? 'allowed' : 'denied'})`);
  }
}
console.log(`${cases.length} cases judged, ${wrong} decided otherwise`);
process.exit(wrong ? 1 : 0);
