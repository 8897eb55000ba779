import axios from 'axios';
import qs from 'qs';

// The guide prints the last three lines; what they call is written here after its first program.
const CLIENT_ID = process.env.FIREFLY_CLIENT_ID;

async function getAccessToken(id, secret) {
  const data = qs.stringify({ grant_type: 'client_credentials', client_id: id, client_secret: secret });
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const config = { method: 'post', url: 'https://ims-na1.adobelogin.com/ims/token/v3', headers, data };
  return (await axios.request(config)).data.access_token;
}

async function generateImage(prompt, id, token) {
  const headers = { 'Content-Type': 'application/json', 'x-api-key': id, Authorization: `Bearer ${token}` };
  const url = 'https://firefly-api.adobe.io/v3/images/generate';
  return (await axios.request({ method: 'post', url, headers, data: JSON.stringify({ prompt }) })).data;
}

let token = await getAccessToken(CLIENT_ID, process.env.FIREFLY_CLIENT_SECRET);

let prompt = 'a cat dancing on a rainbow';
let result = await generateImage(prompt, CLIENT_ID, token);
console.log(JSON.stringify(result, null, '\t'));
